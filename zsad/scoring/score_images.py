"""The scoring stage: from feature files to one method's maps and image scores."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from zsad.errors import DamagedFileError, DataError
from zsad.files.features import FeatureReader
from zsad.files.masks import MaskReader
from zsad.files.provenance import inherited
from zsad.files.scores import ScoreWriter
from zsad.files.texts import TextReader
from zsad.files.training_facts import TRAINING
from zsad.progress import progress
from zsad.scoring.base import ImageScore, Scorer
from zsad.scoring.compute import Compute
from zsad.scoring.extra_inputs import check_texts, describe_inputs
from zsad.scoring.fitted import Fitted, load_fitted
from zsad.scoring.foreground_masks import check_masks, describe_masks
from zsad.scoring.image_level import ImageScoring
from zsad.scoring.references import REFERENCES
from zsad.scoring.trained import facts_of_weights, with_weights

TEST = "test"  # the role of the images that are scored

logger = logging.getLogger(__name__)


def score_images(
    *,
    features: Mapping[str, Path],
    scorer: Scorer,
    image_scoring: ImageScoring,
    compute: Compute,
    output: Path,
    provenance: Mapping[str, Any],
    foregrounds: Mapping[str, Path] = {},
    model: Path | None = None,
    texts: Path | None = None,
    trained: Path | None = None,
) -> None:
    """Score the test images of a category with one method and write the score file.

    The seconds of an image are the scoring time of the whole category divided by its images, for every method; the time
    of fitting a model is not included.

    Args:
        features: feature files by the roles that ``scorer.feature_sets()`` names, except those that a model replaces.
        compute: device, memory and number format.
        output: the score file, written whole or not at all.
        provenance: facts about the job; the stage adds the rest.
        foregrounds: the mask file of the foreground in the ``"test"`` images, if ``scorer.wants_foreground``.
        model: the fitted model of a `ReferenceScorer`; see `zsad.scoring.fit_method`.
        texts: the sentences of the scorer, if its ``text_role`` is among ``features``.
        trained: weights of a `TrainedScorer` without its own, learned from the auxiliary data set; see
            `zsad.scoring.train_method`.

    Raises:
        ConfigError: the features lack a layer that the method names, or a file of trained weights is absent.
        DataError: too few images for the method, or files that do not belong together.
    """
    applied = with_weights(scorer, trained)
    with ExitStack() as stack:
        masks = {role: stack.enter_context(MaskReader(path)) for role, path in foregrounds.items()}
        asked = None if texts is None else stack.enter_context(TextReader(texts))
        readers = {
            role: stack.enter_context(FeatureReader(path, masks.get(role), asked if role == scorer.text_role else None))
            for role, path in features.items()
        }
        fitted = None if model is None else stack.enter_context(load_fitted(model, compute))
        _check_together(scorer, readers, fitted)
        _check_foregrounds(scorer, readers, masks)
        check_texts(scorer, readers, asked)
        test = readers[TEST]
        if fitted is not None:
            _check_model(fitted, scorer, image_scoring, compute)
            fitted.check(test)
        of_words = describe_inputs(scorer, asked)
        if fitted is not None and "texts" in fitted.provenance:
            of_words["texts"] = fitted.provenance["texts"]
        training = facts_of_weights(applied) if fitted is None else fitted.provenance.get(TRAINING)
        start = time.perf_counter()
        patches = test.grid_sizes.prod(axis=1).tolist()
        scores = _scores(applied, readers, image_scoring, compute, fitted)
        in_order = _in_order(progress(scores, total=len(test), label="scoring", work=patches), test.image_ids)
        image_scores = np.array([score.image_score for score in in_order], dtype=np.float64)
        image_scores = applied.rescored(image_scores, readers)
        seconds = time.perf_counter() - start
        details = {
            "setting": scorer.setting,
            "scorer": _described(scorer),
            "image_scoring": _described(image_scoring),
            "own_image_scores": scorer.own_image_scores,
            "features": _origins(scorer, readers, fitted),
            **of_words,
            **({TRAINING: training} if training else {}),
            "device": compute.device,
            "number_format": str(compute.format).removeprefix("torch."),
            "seconds": seconds,
        }
        with ScoreWriter(
            output,
            test.image_ids,
            {**inherited(test.provenance), **provenance, **details},
            grid_sizes=test.grid_sizes,
            setting=scorer.setting,
            localises=scorer.localises,
        ) as writer:
            for index, (score, image_score) in enumerate(zip(in_order, image_scores, strict=True)):
                given = score.anomaly_map
                whole = np.full(test.grid_sizes[index], image_score) if given is None else given
                writer.write(index, whole, image_score, seconds=seconds / len(test), note=score.note)
    logger.info("scored %d images in %.1f s", len(in_order), seconds)


def _scores(
    scorer: Scorer,
    readers: Mapping[str, FeatureReader],
    image_scoring: ImageScoring,
    compute: Compute,
    fitted: Fitted | None,
) -> Iterator[ImageScore]:
    """The scores of the test images, with the model or with the features alone."""
    if fitted is not None:
        return fitted.score(readers[TEST])
    return map(image_scoring.complete, scorer.score(readers, compute))


def _check_together(scorer: Scorer, readers: Mapping[str, FeatureReader], fitted: Fitted | None) -> None:
    """Check that the scorer has the files that it needs, from one backbone and of the same test images."""
    wanted = {name: each for name, each in scorer.feature_sets().items() if name not in scorer.fitted_roles}
    if readers.keys() != wanted.keys():
        raise ValueError(f"the scorer reads {sorted(wanted)}, but {sorted(readers)} were given")
    if (fitted is not None) != bool(scorer.fitted_roles):
        raise ValueError(f"a model is {'missing' if fitted is None else 'not used by the scorer'}")
    test = readers[TEST]
    for role, reader in readers.items():
        if (reader.layers, reader.channels) != (test.layers, test.channels):
            raise DataError(f"{reader.path} and {test.path} come from different backbones; delete both and run again")
        if wanted[role].subset != wanted[TEST].subset:
            continue
        if reader.image_ids != test.image_ids or not np.array_equal(reader.grid_sizes, test.grid_sizes):
            raise DataError(f"{reader.path} and {test.path} do not show the same images; delete both and run again")


def _check_model(fitted: Fitted, scorer: Scorer, image_scoring: ImageScoring, compute: Compute) -> None:
    """Check that a model belongs to the method as configured.

    Raises:
        DamagedFileError: another scorer, other parameters, or another number format.
    """
    asked = {"scorer": scorer, "image_score": image_scoring, "precision": compute.format}
    found = {"scorer": fitted.scorer, "image_score": fitted.image_scoring, "precision": fitted.compute.format}
    if different := next((name for name in asked if asked[name] != found[name]), None):
        raise DamagedFileError(fitted.path, f"is the model of another method: its {different} differs")


def _check_foregrounds(scorer: Scorer, readers: Mapping[str, FeatureReader], masks: Mapping[str, MaskReader]) -> None:
    """Check that the scorer has the masks that it needs, one for each image to score."""
    wanted = [TEST] if scorer.wants_foreground else []
    if sorted(masks) != wanted:
        raise ValueError(f"the scorer reads masks of {wanted}, but those of {sorted(masks)} were given")
    for role, reader in masks.items():
        check_masks(reader, readers[role])


def _in_order(scores: Iterable[ImageScore], image_ids: list[str]) -> list[ImageScore]:
    """The scores in the order of the images.

    Raises:
        ValueError: the scorer gave two scores for an image, or none.
    """
    found: dict[int, ImageScore] = {}
    for score in scores:
        if score.index in found:
            raise ValueError(f"the scorer scored image {score.index} twice")
        found[score.index] = score
    if found.keys() != set(range(len(image_ids))):
        raise ValueError(f"the scorer scored {len(found)} images, there are {len(image_ids)}")
    return [found[index] for index in range(len(image_ids))]


def _described(part: Scorer | ImageScoring) -> dict[str, Any]:
    return {"class": type(part).__name__, "params": part.parameters()}


def _origins(scorer: Scorer, readers: Mapping[str, FeatureReader], fitted: Fitted | None) -> dict[str, dict[str, Any]]:
    """The origins of the features of each role; with the ids of images that are not test images."""
    sets = scorer.feature_sets()
    origins = {}
    for role, reader in readers.items():
        origins[role] = {**inherited(reader.provenance), **sets[role]._asdict(), **describe_masks(reader)}
        if sets[role].subset != sets[TEST].subset:
            origins[role]["image_ids"] = reader.image_ids
    if fitted is not None:
        known = dict(fitted.provenance["references"])
        known.pop("backbone", None)
        origins[REFERENCES] = {**known, **sets[REFERENCES]._asdict()}
    return origins
