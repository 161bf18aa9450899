"""What score files say of texts, for the tests of what is made from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zsad.files.json_files import read_json, write_json

PROMPTS = {
    "name": "words-0123abcd",
    "source": "Somebody, 2030",
    "normal": ["{}", "flawless {}"],
    "anomalous": ["damaged {}", "{} with a <hole> & a dent"],
    "templates": ["a photo of a {}.", "a blurry photo of the {}."],
}
LEARNED = {"name": "epoch_15.pth", "sha256": "c0ffee" + 58 * "0", "trained_on": "visa"}
MODEL = {"id": "clip-vitl14-336", "revision": "abc123"}


def asked(category: str, part_name: str, prompts: Mapping[str, Any] = PROMPTS) -> dict[str, Any]:
    """What the provenance of a score file says of the texts of a category."""
    return {
        "category": category,
        "part_name": part_name,
        "prompts": dict(prompts),
        "model": MODEL,
        "sentences": 8,
        "examples": {"normal": f"a photo of a {part_name}.", "anomalous": f"a photo of a damaged {part_name}."},
    }


def say_in_evaluations(paths: Sequence[Path], scores_of: Mapping[tuple[str, str], Mapping[str, Any]]) -> None:
    """Put provenances of scores, by category and method, into evaluation files."""
    for path in paths:
        document = read_json(path)
        if said := scores_of.get((document["category"], document["method"])):
            document["provenance"]["scores"] = dict(said)
            write_json(path, document)
