"""The stage that names the defect type of each test image, for all samples of labelled examples at once."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from zsad.classification.answers import Answering, Answers, Labelled
from zsad.classification.base import Classifier
from zsad.classification.embeddings import EmbeddingOptions, embed_images
from zsad.classification.inputs import (
    Images,
    check_asked,
    check_draws,
    check_images_of_split,
    check_together,
    source_of,
)
from zsad.classification.options import ConformalOptions, ProbabilityOptions
from zsad.classification.regions import Place, Regions
from zsad.classification.registry import CLASSIFIERS
from zsad.classification.splits import TEST, Draw, Shots, SplitRow, kinds_of, read_split_and_remarks, setting_of
from zsad.files.classified import (
    CALIBRATION,
    LEFT_OUT,
    QUERY,
    SUPPORT,
    Classified,
    ClassifiedWriter,
    DrawInfo,
    Exemplar,
)
from zsad.files.provenance import inherited

logger = logging.getLogger(__name__)


def classify_images(
    *,
    split: Path,
    features: Path,
    support_features: Path | None,
    scores: Path | None,
    support_scores: Path | None,
    masks: Path | None,
    regions: str,
    classifier: Classifier,
    embedding: EmbeddingOptions,
    shots: Sequence[Shots],
    probabilities: ProbabilityOptions,
    conformal: ConformalOptions,
    output: Path,
    provenance: Mapping[str, Any],
) -> None:
    """Classify every query among the test images, for every sample of examples, and write the classification file.

    Args:
        split: which images are examples, calibrate, and are queries, for each seed.
        features: of all test images.
        support_features: of the examples that lie beside the data set; None where they are test images.
        scores: maps of the test images by one method, which locate the defects; None for none.
        support_scores: of the same examples by the same method; None for none.
        masks: which outline the defects in the test images; None for none.
        regions: ``"image"`` if none of these is read, ``"ground truth"`` if the masks are, else ``"predicted"``.
        shots: how many examples of each kind the classifier sees, each number for itself.
        output: the file, written whole or not at all.
        provenance: facts about the job; the stage adds the rest.

    Raises:
        ConfigError: the features have no such layer.
        DataError: files that do not belong together, a method that does not localise, or a vector that is zero or not
            finite.
    """
    start = time.perf_counter()
    check_asked(embedding, regions, scores, support_scores, support_features, masks)
    rows, remarks = read_split_and_remarks(split)
    with ExitStack() as stack:
        test = Images.open(stack, TEST, features, scores, masks)
        sources = [test]
        if support_features is not None:
            sources.append(Images.open(stack, source_of(rows), support_features, support_scores, None))
        check_images_of_split(split, rows, sources)
        check_together(sources)
        draws = check_draws(split, rows, shots)
        answering = Answering(classifier, probabilities, conformal, kinds_of(rows))
        vectors, places = _embedded(rows, sources, embedding)
        remarks += _remarks_on_places(places, regions, has_masks=masks is not None)
        answers = [_answers(answering, draw, vectors) for draw in draws]
        exemplars = sorted({_exemplar(row) for draw in draws for row in draw.support}, key=lambda one: one[::-1])
        details = {
            "classifier": {"name": CLASSIFIERS.name_of(classifier), "params": classifier.parameters()},
            "embedding": embedding.parameters(),
            "probabilities": probabilities.parameters(),
            "conformal": conformal.parameters(),
            "inputs": {source.name: source.origins() for source in sources},
        }
        with ClassifiedWriter(
            output,
            test.features.image_ids,
            {**inherited(test.features.provenance), **provenance, **details},
            kinds=answering.kinds,
            exemplars=exemplars,
            draws=[
                _described(draw, answering.kinds, [*found.remarks, *remarks])
                for draw, found in zip(draws, answers, strict=True)
            ],
            alpha=conformal.alpha,
            regions=regions,
        ) as writer:
            for index, (draw, found) in enumerate(zip(draws, answers, strict=True)):
                writer.write(index, _of_all_images(draw, found, test.features.image_ids, exemplars))
            writer.provenance["seconds"] = time.perf_counter() - start
    logger.info("classified %d images with %d samples of examples", len(draws[0].queries), len(draws))


class _Vectors(NamedTuple):
    """The embeddings of all images in use.

    Attributes:
        rows: float64 ``[image, channel]``.
        places: the row of each image, by source and identifier.
    """

    rows: np.ndarray
    places: dict[tuple[str, str], int]

    def of(self, images: Iterable[tuple[str, str]]) -> np.ndarray:
        """The embeddings of some images, in order."""
        return self.rows[[self.places[image] for image in images]]

    def labelled(self, rows: Sequence[SplitRow], kinds: Sequence[str]) -> Labelled:
        """The embeddings of labelled images."""
        numbers = np.array([kinds.index(row.kind) for row in rows], np.intp)
        return Labelled(self.rows[[self.places[row.source, row.image_id] for row in rows]], numbers)


def _embedded(
    rows: Sequence[SplitRow], sources: Sequence[Images], options: EmbeddingOptions
) -> tuple[_Vectors, Counter[Place]]:
    """The embeddings of all images in any sample, each read once, and the sources of their regions."""
    taken = {(row.source, row.image_id) for row in rows if row.role != "left_out"}
    parts, images, places = [], [], Counter[Place]()
    for source in sources:
        names = source.features.image_ids
        indices = [index for index, image_id in enumerate(names) if (source.name, image_id) in taken]
        regions = None if options.kind == "image" else Regions(source.features, source.scores, source.masks)
        found = embed_images(source.features, indices, options, regions)
        parts.append(found.vectors)
        places.update(found.places)
        images += [(source.name, names[index]) for index in indices]
    return _Vectors(np.concatenate(parts), {image: place for place, image in enumerate(images)}), places


def _remarks_on_places(places: Counter[Place], regions: str, *, has_masks: bool) -> list[str]:
    """Sentences for the reader about the image regions of the embeddings."""
    remarks = []
    empty = places.total() - places["mask"]
    if regions == "ground truth" and empty:
        remarks.append(f"{empty} of {places.total()} ground-truth masks are empty, which reveals the normal images.")
    if has_masks and places["peak"]:
        remarks.append(
            f"The masks of {places['peak']} of {places.total()} images mark nothing; there the highest patches of the "
            "map are used instead."
        )
    if places["everywhere"]:
        remarks.append(
            f"The position of the defect is unknown in {places['everywhere']} of {places.total()} images; there all "
            "patches have equal weight."
        )
    return remarks


def _answers(answering: Answering, draw: Draw, vectors: _Vectors) -> Answers:
    queries = vectors.of((TEST, image_id) for image_id in draw.queries)
    support, calibration = (vectors.labelled(rows, answering.kinds) for rows in (draw.support, draw.calibration))
    return answering.answers(queries, support, calibration)


def _exemplar(row: SplitRow) -> Exemplar:
    return Exemplar(row.source, row.image_id, row.kind)


def _described(draw: Draw, kinds: Sequence[str], remarks: list[str]) -> DrawInfo:
    support, calibration = (Counter(row.kind for row in rows) for rows in (draw.support, draw.calibration))
    return DrawInfo(
        seed=draw.seed,
        shots=draw.shots,
        setting=setting_of(draw.shots),
        support=[support[kind] for kind in kinds],
        calibration=[calibration[kind] for kind in kinds],
        remarks=remarks,
    )


def _of_all_images(draw: Draw, answers: Answers, image_ids: Sequence[str], exemplars: Sequence[Exemplar]) -> Classified:
    """Answers for queries, arranged over all test images."""
    place_of = {image_id: place for place, image_id in enumerate(image_ids)}
    roles = np.full(len(image_ids), LEFT_OUT, np.uint8)
    for role, rows in ((SUPPORT, draw.support), (CALIBRATION, draw.calibration)):
        roles[[place_of[row.image_id] for row in rows if row.source == TEST]] = role
    queries = [place_of[image_id] for image_id in draw.queries]
    roles[queries] = QUERY
    number_of = {exemplar: number for number, exemplar in enumerate(exemplars)}
    numbers = np.array([number_of[_exemplar(row)] for row in draw.support], np.int32)

    def laid_out(values: np.ndarray, rest: float | bool) -> np.ndarray:
        whole = np.full((len(image_ids), *values.shape[1:]), rest, values.dtype)
        whole[queries] = values
        return whole

    return Classified(
        roles=roles,
        scores=laid_out(answers.scores, np.nan),
        probabilities=laid_out(answers.probabilities, np.nan),
        p_values=laid_out(answers.p_values, np.nan),
        in_set=laid_out(answers.in_set, False),
        nearest=laid_out(numbers[answers.nearest], -1),
        similarity=laid_out(answers.similarity, np.nan),
    )
