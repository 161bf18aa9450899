"""CLIP's kind of tokenizer, of a few signs and pairs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple


class ClipWords(NamedTuple):
    """A tokenizer.

    Attributes:
        signs: that it knows, within a word and at its end.
        merges: pairs that become one token, in the order in which they do; ``</w>`` ends a word.
    """

    signs: str
    merges: Sequence[str]

    @property
    def vocabulary(self) -> list[str]:
        """All tokens, in the order of their numbers; start and end of a text are the last."""
        ends = [f"{sign}</w>" for sign in self.signs]
        merged = ["".join(merge.split()) for merge in self.merges]
        return [*self.signs, *ends, *merged, "<|startoftext|>", "<|endoftext|>"]

    def save(self, folder: Path) -> Path:
        """Write its files, as CLIP's own are published."""
        folder.mkdir(parents=True, exist_ok=True)
        numbers = {token: place for place, token in enumerate(self.vocabulary)}
        (folder / "vocab.json").write_text(json.dumps(numbers))
        (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *self.merges, ""]))
        return folder


SCRATCH = ClipWords("abcdefghijklmnopqrstuvwxyz,.", ["s c", "sc r", "a t", "scr at", "c h</w>", "scrat ch</w>"])
