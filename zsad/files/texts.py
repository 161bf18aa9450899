"""Text embeddings of sentences that describe normal and anomalous states, in HDF5."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from zsad.files.hdf5 import Reader, Writer

TEXTS_FORMAT = "zsad-texts-1"
NORMAL, ANOMALOUS = 0, 1  # the states of an object that sentences describe


class TextWriter(Writer):
    """Write the sentences of one prompt set about one object, and their embeddings.

    Args:
        sentences: their text; for learned prompts a description of each.
        states: `NORMAL` or `ANOMALOUS`, one per sentence; both occur.
        embeddings: float32 ``[sentence, channel]`` from the text tower, not normalised.
        patch_part: range of the channels (first, last exclusive) that patches are compared with; vectors of whole
            images are compared with all channels.
    """

    _format = TEXTS_FORMAT

    def __init__(
        self,
        path: str | Path,
        provenance: Mapping[str, Any],
        *,
        sentences: Sequence[str],
        states: Sequence[int],
        embeddings: np.ndarray,
        patch_part: tuple[int, int],
    ) -> None:
        super().__init__(path, [], provenance)
        self._sentences = list(sentences)
        self._states = np.asarray(states, dtype=np.int8)
        self._embeddings = np.asarray(embeddings, dtype=np.float32)
        self._patch_part = patch_part
        check_texts(self._sentences, self._states, self._embeddings, patch_part)

    def _create(self) -> None:
        self._file.attrs["patch_part"] = self._patch_part
        self._file.create_dataset("sentence", data=self._sentences, dtype=h5py.string_dtype())
        self._file.create_dataset("state", data=self._states)
        self._file.create_dataset("embedding", data=self._embeddings)


class TextReader(Reader):
    """Read a file of texts, which is small, completely.

    Attributes:
        sentences: their text.
        states: int8 ``[sentence]``, `NORMAL` or `ANOMALOUS`.
        embeddings: float32 ``[sentence, channel]``, not normalised.
        patch_part: range of the channels that patches are compared with (first, last exclusive).
        provenance: how the file was made; ``"part_name"`` and ``"prompts"`` give the object and the prompts.
    """

    _format = TEXTS_FORMAT
    _noun = "text"

    def _load(self) -> None:
        self.sentences: list[str] = self._file["sentence"].asstr()[:].tolist()
        self.states: np.ndarray = self._file["state"][:]
        self.embeddings: np.ndarray = self._file["embedding"][:]
        start, stop = (int(place) for place in self._file.attrs["patch_part"])
        self.patch_part = (start, stop)
        check_texts(self.sentences, self.states, self.embeddings, self.patch_part)


def check_texts(
    sentences: Sequence[str], states: np.ndarray, embeddings: np.ndarray, patch_part: tuple[int, int]
) -> None:
    """Reject sentences and embeddings that do not match.

    Raises:
        ValueError: they do not match.
    """
    if embeddings.ndim != 2 or embeddings.dtype != np.float32 or not np.isfinite(embeddings).all():
        raise ValueError("its embeddings are not finite vectors")
    if states.shape != (len(sentences),) or len(embeddings) != len(sentences):
        raise ValueError("its embeddings do not match its sentences")
    if set(states.tolist()) != {NORMAL, ANOMALOUS}:
        raise ValueError("its sentences do not describe both states")
    if not (embeddings**2).sum(axis=1).all():
        raise ValueError("an embedding has length 0")
    if not 0 <= patch_part[0] < patch_part[1] <= embeddings.shape[1]:
        raise ValueError(f"patches cannot be compared with the channels {patch_part}")
