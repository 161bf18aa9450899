"""Find the tokenizer of a text tower: beside its weights, or in the place of ``tokenizer``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from zsad.errors import ModelError
from zsad.models.checkpoint import FoundCheckpoint
from zsad.models.hub import locate_files
from zsad.models.texts.base import TextModel


class Tokenizer(NamedTuple):
    """A tokenizer on this machine.

    Attributes:
        folder: folder of its files.
        named: its hub id or folder in the configuration; None for the model's own.
        commit: the hub's commit hash, if it comes from another place of the hub than the model.
    """

    folder: Path
    named: str | None
    commit: str | None

    @property
    def provenance(self) -> dict[str, Any]:
        """Its provenance in addition to the model's; empty for the model's own."""
        return {} if self.named is None else {"tokenizer": {"id": self.named, "revision": self.commit}}

    @property
    def remedy(self) -> str:
        """The fix if it does not match the model."""
        return "download both again" if self.named is None else "correct 'tokenizer', or remove it"


def locate_tokenizer(
    wanted: TextModel, found: FoundCheckpoint, file_sets: Sequence[Sequence[str]], default: str | None = None
) -> Tokenizer:
    """Find the files of a tokenizer, downloading them if they are in another place of the hub than the model.

    Args:
        wanted: the model; its ``tokenizer`` takes precedence.
        found: its checkpoint, whose folder comes next.
        file_sets: the required files of a tokenizer of this kind; one set is enough.
        default: hub id of a tokenizer for a checkpoint without one.

    Raises:
        ModelError: there is none, or the hub cannot be reached.
    """
    if wanted.tokenizer is not None:
        return _named(wanted.tokenizer, found, file_sets)
    if found.source.is_dir() and (own := _own(found, file_sets)) is not None:
        return own
    if default is not None:
        return _named(default, found, file_sets)
    # Without its files, transformers silently makes a tokenizer without any words.
    raise ModelError(
        f"model '{found.name}' has no tokenizer in {found.source}; add its {_listed(file_sets)}, or set another with "
        "'tokenizer'"
    )


def _own(found: FoundCheckpoint, file_sets: Sequence[Sequence[str]]) -> Tokenizer | None:
    located = locate_files(str(found.source), None, file_sets, option="model")
    if located is None and found.commit is not None:  # another program may have downloaded only the weights
        located = locate_files(found.name, found.commit, file_sets, option="model")
    return None if located is None else Tokenizer(located.path, None, None)


def _named(named: str, found: FoundCheckpoint, file_sets: Sequence[Sequence[str]]) -> Tokenizer:
    located = locate_files(named, None, file_sets, option="tokenizer")
    if located is None:
        raise ModelError(
            f"the tokenizer '{named}' of model '{found.name}' has no {_listed(file_sets)}; add them, or correct "
            "'tokenizer'"
        )
    return Tokenizer(located.path, named, located.commit)


def _listed(file_sets: Sequence[Sequence[str]]) -> str:
    return ", or its ".join(" and ".join(files) for files in file_sets)
