"""A method of each of two runs on one category, with bootstrap replicates of the same resampled images.

The stored replicates are used if both runs resampled the same images in the same way: with the same labels and masks,
as often, by the same seed, the same code and the same generator of random numbers. All this is read from what the
results record. Otherwise the common images are measured again from the stored scores: independent replicates would give
the difference limits that are too wide, and an image that only one run has is no difference between methods.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from zsad.evaluation.bootstrap import Sampler
from zsad.evaluation.common_images import CommonImages
from zsad.evaluation.measure_anew import evaluation_options, measure_masks_anew, measure_scores_anew
from zsad.evaluation.measured import Measured
from zsad.names import ALL_METRICS, MASK_METRICS, NO_REFINER
from zsad.tables.finished_run import FinishedRun
from zsad.tables.results import Result, results_of, seeds_result

STORED, ANEW = "stored", "anew"
RESAMPLING_CODE = "zsad/evaluation/bootstrap.py"

Document = dict[str, Any]


class Side(NamedTuple):
    """A method of a run, with the masks of a refiner or without.

    Attributes:
        members: its seeds, of which the figures are the mean, or itself.
    """

    run: FinishedRun
    method: str
    refiner: str
    members: Sequence[str]

    def scored(self, category: str) -> list[Document]:
        """The evaluations of its scores, one for each member.

        Raises:
            DataError: one is missing or damaged.
        """
        return [self.run.evaluation(category, member) for member in self.members]

    def masked(self, category: str) -> list[Document]:
        """The evaluations of the refiner's masks, one for each member; none without a refiner.

        Raises:
            DataError: one is missing or damaged.
        """
        if self.refiner == NO_REFINER:
            return []
        return [self.run.refinement(category, member, self.refiner) for member in self.members]

    def _file(self, category: str, kind: str, member: str, refiner: str = NO_REFINER) -> Path:
        return self.run.file(category, kind, member, refiner, ending=".h5")


class MeasuredPair(NamedTuple):
    """Two methods on one category.

    Attributes:
        images: number of labelled test images.
        replicates: `STORED` or `ANEW`.
        reason: why they were measured again; empty if they were not.
    """

    first: Result
    second: Result
    images: int
    replicates: str
    reason: str


def measure_pair(first: Side, second: Side, category: str, images: CommonImages, sampler: Sampler) -> MeasuredPair:
    """Measure two methods on the common images of a category.

    Args:
        sampler: how images are resampled if the methods are measured again.

    Raises:
        DataError: a result is missing or damaged, or a mask is needed and cannot be read.
    """
    sides = (first, second)
    documents = [(side.scored(category), side.masked(category)) for side in sides]
    reason = _unlike([document for kinds in documents for kind in kinds for document in kind], images)
    measure = _anew if reason else _as_stored
    one, other = (
        measure(side, category, scored, masked, images, sampler)
        for side, (scored, masked) in zip(sides, documents, strict=True)
    )
    return MeasuredPair(one, other, len(images.image_ids), ANEW if reason else STORED, reason)


def resampling_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that an evaluation records and on which its resampled images depend.

    ``number`` of replicates, ``seed``, ``code`` (the hash of the module) and ``numpy`` (version without its last part).
    """
    provenance = document.get("provenance", {})
    options = provenance.get("params", {}).get("options", {})
    return {
        "number": options.get("bootstrap"),
        "seed": options.get("seed"),
        "code": provenance.get("code", {}).get(RESAMPLING_CODE),
        "numpy": str(provenance.get("versions", {}).get("numpy", "")).rpartition(".")[0],
    }


def _unlike(documents: Sequence[Document], images: CommonImages) -> str:
    """Why the stored replicates are not of the same resampled images; empty if they are."""
    if not images.are_all:
        return (
            f"the runs have {images.of_first} and {images.of_second} labelled test images, "
            f"{len(images.image_ids)} of them common"
        )
    first, *others = map(resampling_of, documents)
    if not first["number"]:
        return "the first run has no bootstrap replicates"
    for name, value in first.items():
        if any(other[name] != value for other in others):
            return f"the bootstrap replicates of the runs differ in their {_IN_WORDS[name]}"
    return ""


_IN_WORDS = {"number": "number", "seed": "seed", "code": "code", "numpy": "version of numpy"}


def _as_stored(
    side: Side, category: str, scored: list[Document], masked: list[Document], *_: CommonImages | Sampler
) -> Result:
    scored = [
        {**document, "draws": side.run.replicates(category, member)}
        for member, document in zip(side.members, scored, strict=True)
    ]
    masked = [
        {**document, "draws": side.run.replicates(category, member, side.refiner)}
        for member, document in zip(side.members, masked, strict=False)
    ]
    return _result(side, scored, masked)


def _anew(
    side: Side,
    category: str,
    scored: list[Document],
    masked: list[Document],
    images: CommonImages,
    sampler: Sampler,
) -> Result:
    by_category = sampler._replace(name=category)
    anew: tuple[list[Document], list[Document]] = ([], [])
    for member, document in zip(side.members, scored, strict=True):
        files: dict[str, Any] = {
            "manifest": side.run.folder / category / "manifest.csv",
            "scores": side._file(category, "scores", member),
            "decisions": side._file(category, "decisions", member),
            "image_ids": images.image_ids,
            "options": evaluation_options(document),
            "sampler": by_category,
        }
        saturation = document["provenance"]["params"].get("saturation")
        measured = measure_scores_anew(**files, saturation=Path(saturation) if saturation else None)
        anew[0].append(_with(document, measured, ALL_METRICS))
        if side.refiner != NO_REFINER:
            measured = measure_masks_anew(**files, masks=side._file(category, "masks", member, side.refiner))
            anew[1].append(_with(masked[len(anew[1])], measured, MASK_METRICS))
    return _result(side, *anew)


def _with(document: Document, measured: Measured, metrics: Sequence[str]) -> Document:
    return {**document, **measured.document(metrics), "draws": measured.known_replicates(metrics)}


def _result(side: Side, scored: list[Document], masked: list[Document]) -> Result:
    """The figure of the method: of its only member, or the mean over its seeds."""
    results = [result for result in results_of(scored, masked) if result.refiner == side.refiner]
    return results[0] if len(results) == 1 else seeds_result(results)
