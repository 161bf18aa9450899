"""The stage that measures a classifier of defect types on a category against the ground truth, as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zsad.data.kind_names import alike
from zsad.data.kinds import kind_of
from zsad.errors import DamagedFileError, DataError
from zsad.evaluation.bootstrap import UNKNOWN, Replicates, Sampler, interval
from zsad.evaluation.classes import (
    BY_KIND,
    NEVER,
    UNLABELLED,
    Answers,
    ImageCounts,
    deviation_over_seeds,
    mean_over_seeds,
    measure,
    resampled_means,
)
from zsad.evaluation.ground_truth import records_with_ground_truth
from zsad.evaluation.options import EvaluationOptions
from zsad.files.classified import QUERY, Classified, ClassifiedReader, DrawInfo
from zsad.files.json_files import write_json
from zsad.files.provenance import inherited
from zsad.names import CLASSIFICATION_METRICS


def evaluate_classes(
    *,
    manifest: Path,
    classified: Path,
    output: Path,
    options: EvaluationOptions,
    provenance: Mapping[str, Any],
    category: str,
    classifier: str,
    backbone: str,
) -> None:
    """Measure one classifier on one category and write the result as JSON.

    Only queries count. Metrics that the ground truth does not allow are null.

    Args:
        classified: the answers of the classifier for the test images.
        options: of the confidence limits; resolution and memory are not used here.
        provenance: of this stage; that of the input is added.

    Raises:
        DataError: the classification and the manifest do not hold the same test images, a kind differs
            from one of the examples by case, spaces or the form of its letters alone, or a file is damaged.
    """
    with ClassifiedReader(classified) as reader:
        records = records_with_ground_truth(manifest, reader.image_ids, classified)
        draws = _Draws(reader, [kind_of(record) for record in records])
        result = {
            "category": category,
            "classifier": classifier,
            "backbone": backbone,
            "method": "",
            "embedding": _embedding(reader),
            "kinds": reader.kinds,
            "unknown_kinds": draws.unknown_kinds,
            "alpha": reader.alpha,
            "regions": reader.regions,
            "is_labelled": draws.is_labelled,
            "shown": reader.shown,
            "draws": draws.each(),
            "by_shots": draws.by_shots(Sampler(options.bootstrap, options.seed, category)),
            "images": draws.images(reader.shown),
            "provenance": {
                **inherited(reader.provenance),
                **provenance,
                "classification": reader.provenance,
            },
        }
    write_json(output, result)


class _Draws:
    """All samples of examples of a classifier, with the ground truth of the queries.

    Attributes:
        unknown_kinds: true kinds of queries that were not shown, sorted.
        is_labelled: whether the kind of any query is known.
    """

    def __init__(self, reader: ClassifiedReader, true_kinds: Sequence[str]) -> None:
        self._reader = reader
        self._true_kinds = true_kinds
        self._said = [reader.draw(index) for index in range(len(reader.draws))]
        is_asked = np.any([said.roles == QUERY for said in self._said], axis=0)
        asked = {kind for kind, is_one in zip(true_kinds, is_asked, strict=True) if is_one and kind}
        self.unknown_kinds = sorted(asked - set(reader.kinds))
        self.is_labelled = bool(asked)
        _check_spelling(reader.kinds, self.unknown_kinds, reader.path)
        kinds = [*reader.kinds, *self.unknown_kinds]
        # The kind of an image that is never a query does not matter.
        self._places = np.array([kinds.index(kind) if kind in asked else UNLABELLED for kind in true_kinds])
        self._strata = np.where(is_asked, self._places, NEVER)
        self._counts = [self._counted(said, len(kinds)) for said in self._said]
        self._totals = [counts.total() for counts in self._counts]
        self._measured = [measure(total) for total in self._totals]

    def each(self) -> list[dict[str, Any]]:
        """JSON of each sample."""
        return [self._draw(index, info) for index, info in enumerate(self._reader.draws)]

    def by_shots(self, sampler: Sampler) -> list[dict[str, Any]]:
        """JSON of each number of shots: means over the seeds, with their confidence limits."""
        infos = self._reader.draws
        shots = list(dict.fromkeys(info.shots for info in infos))
        groups = [[index for index, info in enumerate(infos) if info.shots == count] for count in shots]
        resampled = resampled_means(
            [[self._counts[index] for index in group] for group in groups], self._strata, sampler
        )
        return [
            {
                "shots": count,
                "setting": infos[group[0]].setting,
                "seeds": [infos[index].seed for index in group],
                **self._means(group, {name: values[:, place] for name, values in resampled.items()}),
                "confusion": np.sum([self._confusion(index) for index in group], axis=0),
            }
            for place, (count, group) in enumerate(zip(shots, groups, strict=True))
        ]

    def images(self, index: int) -> list[dict[str, Any]]:
        """JSON of each query of a sample."""
        said = self._said[index]
        predicted = said.predicted
        return [self._image(said, int(image), self._reader.kinds[predicted[image]]) for image in said.queries]

    def _counted(self, said: Classified, true_kinds: int) -> ImageCounts:
        answers = Answers(self._places, said.predicted, said.in_set, said.roles == QUERY)
        return ImageCounts(answers, true_kinds, is_labelled=self.is_labelled)

    def _confusion(self, index: int) -> np.ndarray:
        return self._totals[index].confusion.astype(int)

    def _draw(self, index: int, info: DrawInfo) -> dict[str, Any]:
        kinds, measured, confusion = self._reader.kinds, self._measured[index], self._confusion(index)
        return {
            "seed": info.seed,
            "shots": info.shots,
            "setting": info.setting,
            "remarks": info.remarks,
            "support": info.support,
            "calibration": info.calibration,
            "queries": len(self._said[index].queries),
            "measured": confusion[: len(kinds)].sum(),
            "unknown": confusion[len(kinds) :].sum(),
            "metrics": {name: measured[name] for name in CLASSIFICATION_METRICS},
            "coverage_by_kind": dict(zip(kinds, measured[BY_KIND], strict=True)),
            "confusion": confusion,
        }

    def _means(self, group: Sequence[int], resampled: Replicates) -> dict[str, Any]:
        """Means over the samples of a group; ``resampled`` is ``[replicate]`` or ``[replicate, kind]`` by metric."""

        def summary(values: Sequence[np.ndarray], replicates: np.ndarray | None) -> dict[str, Any]:
            value = mean_over_seeds(values)
            low, high = UNKNOWN if replicates is None or np.isnan(value) else interval(replicates)
            return {"value": value, "low": low, "high": high, "deviation": deviation_over_seeds(values)}

        measured = [self._measured[index] for index in group]
        of_kinds = resampled.get(BY_KIND)
        return {
            "metrics": {
                name: summary([one[name] for one in measured], resampled.get(name)) for name in CLASSIFICATION_METRICS
            },
            "coverage_by_kind": {
                kind: summary(
                    [one[BY_KIND][place] for one in measured], None if of_kinds is None else of_kinds[:, place]
                )
                for place, kind in enumerate(self._reader.kinds)
            },
        }

    def _image(self, said: Classified, image: int, predicted: str) -> dict[str, Any]:
        kinds, exemplars = self._reader.kinds, self._reader.exemplars

        def of_kinds(values: np.ndarray) -> dict[str, Any]:
            return dict(zip(kinds, values[image].tolist(), strict=True))

        return {
            "image_id": self._reader.image_ids[image],
            "true": self._true_kinds[image],
            "predicted": predicted,
            "probabilities": of_kinds(said.probabilities),
            "p_values": of_kinds(said.p_values),
            "prediction_set": [kind for kind, is_in in of_kinds(said.in_set).items() if is_in],
            "abstained": not said.in_set[image].any(),
            "nearest": {
                kind: {
                    "source": exemplars[nearest].source,
                    "image_id": exemplars[nearest].image_id,
                    "similarity": said.similarity[image, place],
                }
                for place, (kind, nearest) in enumerate(of_kinds(said.nearest).items())
            },
        }


def _embedding(reader: ClassifiedReader) -> str:
    """The embedding that was classified: ``"image"``, ``"region"`` or ``"both"``."""
    try:
        return str(reader.provenance["embedding"]["kind"])
    except (KeyError, TypeError):
        raise DamagedFileError(reader.path, "does not name its embedding") from None


def _check_spelling(shown: Sequence[str], unknown: Sequence[str], path: Path) -> None:
    """Reject kinds of test images that differ from those of the examples only in case, spaces or the form of letters.

    Raises:
        DataError: such a kind; the message names both spellings.
    """
    by_likeness = {alike(kind): kind for kind in shown}
    for kind in unknown:
        example = by_likeness.get(alike(kind))
        if example is not None:
            raise DataError(
                f"{path}: the test images have the kind '{kind}' but the examples '{example}'; give both one name, or "
                f"all its images count as an unknown kind"
            )
