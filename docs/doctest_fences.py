"""For the reference: examples of docstrings (``>>>``) become blocks of code, where Markdown would see quotations."""

from __future__ import annotations

import re
from typing import Any

import griffe

EXAMPLES = re.compile(r"^( *)>>> .*(?:\n\1\S.*)*", re.M)


class DoctestFences(griffe.Extension):
    """Puts a fence around the examples of each docstring."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Change the docstring of an object that was just read."""
        if obj.docstring is not None:
            obj.docstring.value = EXAMPLES.sub(fenced, obj.docstring.value)


def fenced(found: re.Match[str]) -> str:
    """An example within a fence of its own indentation."""
    indentation = found[1]
    return f"{indentation}```pycon\n{found[0]}\n{indentation}```"
