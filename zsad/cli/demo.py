"""The command that writes the demo images to a folder."""

from __future__ import annotations

import argparse

from zsad.data.demo.make_demo import make_category
from zsad.data.demo.plan import CATEGORIES, DemoOptions


def write_demo(options: argparse.Namespace) -> None:
    """Generate all categories, and print the folder of each."""
    demo = DemoOptions.build({"seed": options.seed, "size": options.size}, where="zsad demo")
    for category in CATEGORIES:
        make_category(category, demo, options.folder / category)
        print(options.folder / category)
