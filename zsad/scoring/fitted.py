"""A model out of its file: what a method learnt from references, ready to score images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from zsad.errors import ConfigError, DataError
from zsad.files.fitted import FittedReader
from zsad.scoring.compute import ScoringOptions
from zsad.scoring.image_level import ImageScoring
from zsad.scoring.references import ReferenceScorer
from zsad.scoring.registry import SCORERS

if TYPE_CHECKING:
    from zsad.scoring.base import ImageScore
    from zsad.scoring.compute import Compute
    from zsad.scoring.token_source import TokenSource

SHAPE = ("layers", "channels", "cls_source")  # of features, which must be those that the model is fitted to
EXTRACTION = ("model", "backbone")  # of the provenance of features: what two files must share to be compared


class Fitted:
    """A method fitted to the references of a category; a context manager that holds its file open.

    Attributes:
        path: of the file.
        scorer: the method, with its parameters.
        image_scoring: how its maps are smoothed and summed up.
        provenance: what made it: dataset, category, method, backbone, references, ...
        image_ids: of the references.
        layers: names of the layers of the features that it is fitted to.
        channels: width of a token of theirs.
        cls_source: what class tokens are.
        has_evidence: whether its references were scored.
        reference_ids: of the references that were.
        reference_maps: float32 ``[row, column]`` of each, by a fit to others; empty if it does not localise.
        reference_scores: float64 ``[image]``.
    """

    def __init__(self, reader: FittedReader, compute: Compute) -> None:
        """Read a model.

        Raises:
            DamagedFileError: it is not what this version writes.
            DataError: it is of a method that this version does not have, or of a number format that is not for the
                device.
        """
        self._reader = reader
        self.path, self.provenance, self.image_ids = reader.path, reader.provenance, reader.image_ids
        self.layers, self.channels, self.cls_source = reader.layers, reader.channels, reader.cls_source
        self.has_evidence = reader.has_evidence
        self.reference_ids, self.reference_maps = reader.reference_ids, reader.reference_maps
        self.reference_scores = reader.reference_scores
        self.scorer, self.image_scoring = _parts(reader)
        self._references = _mapping(reader, "references")
        self.compute = compute._replace(precision=_precision(reader))
        try:
            self._model = self.scorer.restore(reader, self.compute)
        except ConfigError as error:
            sentence = f"{self.path} is of no use here ({error}); use it where it was fitted, or fit it anew"
            raise DataError(sentence) from None
        except (ValueError, TypeError, KeyError, IndexError, RuntimeError) as error:
            raise reader.foreign(str(error)) from None

    def score(self, source: TokenSource, indices: Sequence[int] | None = None) -> Iterator[ImageScore]:
        """Yield the scores of images, each once: maps smoothed and image scores summed up as the stage writes them.

        Args:
            source: features of the backbone that the model is of, see `check`.
            indices: which of its images; None for all.
        """
        chosen = range(len(source)) if indices is None else indices
        if not len(chosen):
            return
        for score in self.scorer.score_by(self._model, source, chosen, self.compute):
            yield self.image_scoring.summed_up(score)

    def check(self, source: TokenSource) -> None:
        """Refuse features of another backbone than those that the model is fitted to.

        Raises:
            DataError: another model, options or layers made them.
        """
        here, there = ({name: getattr(each, name) for name in SHAPE} for each in (self, source))
        for name in EXTRACTION:
            if name in self._references and name in source.provenance:
                here[name], there[name] = self._references[name], source.provenance[name]
        if odd := next((name for name in here if here[name] != there[name]), None):
            raise DataError(
                f"{source.path} and {self.path} come from different backbones ({odd}: {_short(there[odd])} and "
                f"{_short(here[odd])}); score features of the model's own backbone, or delete both and run again"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._reader.close()


def load_fitted(path: str | Path, compute: Compute) -> Fitted:
    """Open a model file, made by `zsad.scoring.fit_method`.

    Args:
        compute: device and memory; the number format is that of the model.

    Raises:
        DamagedFileError: damaged, foreign, or of another version.
        DataError: absent, of a method that this version does not have, or of a number format that is not for the
            device.
    """
    reader = FittedReader(path)
    try:
        return Fitted(reader, compute)
    except BaseException:
        reader.close()
        raise


def _parts(reader: FittedReader) -> tuple[ReferenceScorer, ImageScoring]:
    """The method, and how its maps are summed up."""
    described, image_score = (_mapping(reader, name) for name in ("scorer", "image_score"))
    try:
        scorer = SCORERS.build(str(described["name"]), described["params"])
        image_scoring = ImageScoring.build(image_score, where="image_score")
    except (KeyError, TypeError, ValueError):
        raise reader.foreign("its provenance names no method") from None
    except ConfigError as error:
        raise DataError(
            f"{reader.path} is of a method that this version of zsad does not have ({error}); fit it anew"
        ) from None
    if not isinstance(scorer, ReferenceScorer):
        raise reader.foreign(f"scorer '{described['name']}' is fitted to nothing")
    return scorer, image_scoring


def _mapping(reader: FittedReader, name: str) -> dict[str, Any]:
    value = reader.provenance.get(name) if isinstance(reader.provenance, dict) else None
    if not isinstance(value, dict):
        raise reader.foreign(f"its provenance has no '{name}'")
    return value


def _precision(reader: FittedReader) -> str:
    try:
        return ScoringOptions.build({"precision": reader.provenance.get("precision")}, where="").precision
    except ConfigError:
        raise reader.foreign("its provenance has no 'precision'") from None


def _short(value: Any) -> str:
    """A value as part of a sentence."""
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
