"""A model from a file: a method fitted to references, ready to score images."""

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

SHAPE = ("layers", "channels", "cls_source")  # of features, which must equal those that the model is fitted to
EXTRACTION = ("model", "backbone")  # of the provenance of features: keys that two files must share to be compared


class Fitted:
    """A method fitted to the references of a category; a context manager that holds its file open.

    Attributes:
        path: of the file.
        scorer: the method, with its parameters.
        image_scoring: how its maps are smoothed and image scores computed.
        provenance: its origin: dataset, category, method, backbone, references, ...
        image_ids: of the references.
        layers: names of the layers of the features that it is fitted to.
        channels: width of their tokens.
        cls_source: meaning of the class tokens.
        has_evidence: whether its references were scored.
        reference_ids: of the scored references.
        reference_maps: float32 ``[row, column]`` of each, by a fit to others; empty if it does not localise.
        reference_scores: float64 ``[image]``.
    """

    def __init__(self, reader: FittedReader, compute: Compute) -> None:
        """Read a model.

        Raises:
            DamagedFileError: it is not in the format of this version.
            DataError: this version does not have its method, or the device does not have its number format.
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
            sentence = f"{self.path} cannot be used here ({error}); use it where it was fitted, or fit it again"
            raise DataError(sentence) from None
        except (ValueError, TypeError, KeyError, IndexError, RuntimeError) as error:
            raise reader.foreign(str(error)) from None

    def score(self, source: TokenSource, indices: Sequence[int] | None = None) -> Iterator[ImageScore]:
        """Yield the scores of images, each once, with maps and image scores as in a score file.

        Args:
            source: features of the model's backbone, see `check`.
            indices: positions of its images; None for all.
        """
        chosen = range(len(source)) if indices is None else indices
        if not len(chosen):
            return
        for score in self.scorer.score_by(self._model, source, chosen, self.compute):
            yield self.image_scoring.complete(score)

    def check(self, source: TokenSource) -> None:
        """Reject features of another backbone than that of the model.

        Raises:
            DataError: another model, options or layers made them.
        """
        here, there = ({name: getattr(each, name) for name in SHAPE} for each in (self, source))
        for name in EXTRACTION:
            if name in self._references and name in source.provenance:
                here[name], there[name] = self._references[name], source.provenance[name]
        if differing := next((name for name in here if here[name] != there[name]), None):
            raise DataError(
                f"{source.path} and {self.path} come from different backbones ({differing}: {_short(there[differing])} "
                f"and {_short(here[differing])}); score features of the model's own backbone, or delete both and run "
                "again"
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
        DamagedFileError: damaged, not a model, or of another version.
        DataError: absent, or this version does not have its method, or the device does not have its number format.
    """
    reader = FittedReader(path)
    try:
        return Fitted(reader, compute)
    except BaseException:
        reader.close()
        raise


def _parts(reader: FittedReader) -> tuple[ReferenceScorer, ImageScoring]:
    """The method, and its image scoring."""
    described, image_score = (_mapping(reader, name) for name in ("scorer", "image_score"))
    try:
        scorer = SCORERS.build(str(described["name"]), described["params"])
        image_scoring = ImageScoring.build(image_score, where="image_score")
    except (KeyError, TypeError, ValueError):
        raise reader.foreign("its provenance names no method") from None
    except ConfigError as error:
        raise DataError(
            f"{reader.path} is of a method that this version of zsad does not have ({error}); fit it again"
        ) from None
    if not isinstance(scorer, ReferenceScorer):
        raise reader.foreign(f"scorer '{described['name']}' is not fitted to references")
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
    """A value as short text for a sentence."""
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
