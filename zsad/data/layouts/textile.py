"""The simulated textiles of Megahed et al. (arXiv:2501.12596, 2025; https://github.com/fmegahed/conformal-clip-data).

::

    nominal/textile_0001.jpg    1000 images of a weave
    local/textile_0001.jpg      500 with a spot where the weave is disturbed
    global/textile_0001.jpg     500 whose weave differs everywhere: both parameters of the process are 5 % lower

The images were simulated with the R package spc4sts (Bui and Apley, Journal of Quality Technology 53, 2021), 250 px
square and grey. There are neither masks nor a published split, so that training and test are sampled (`SampledLayout`).
In a global defect no patch differs from the others of its image.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from zsad.data.known_truth import KnownTruth
from zsad.data.layouts.base import GOOD, folders, images
from zsad.data.layouts.item import Item
from zsad.data.layouts.roots import categories_or_error
from zsad.data.layouts.sampled import SampledLayout
from zsad.data.subsets import Split
from zsad.errors import DataError

CATEGORY = "textile"
NOMINAL = "nominal"
KINDS = ("local", "global")


class TextileLayout(SampledLayout):
    """One category, with local and global defects."""

    summary: ClassVar[str] = "simulated textiles: nominal, local and global, each a folder of images; no masks"

    @property
    def expected_truth(self) -> KnownTruth:
        """Labels without masks."""
        return KnownTruth(good=self.good != 0, defective=self.defective != 0, masks=False)

    def categories(self, root: Path) -> list[str]:
        """``["textile"]``, if there is a folder ``nominal``."""
        what = "folder 'nominal' beside 'local' and 'global', as the simulated textiles have"
        return categories_or_error(root, _categories(root), what, find=_categories)

    def items(self, root: Path, category: str) -> list[Item]:
        """The sampled images.

        Raises:
            DataError: a folder is missing or has no image, or more images are wanted than exist.
        """
        paths = _paths(root)
        good, *kinds = ([name for name in paths if name.startswith(f"{kind}/")] for kind in (NOMINAL, *KINDS))
        draw = self.draw_good(root, category, good, good)
        tested = [*draw.test, *self.draw_defective(root, category, kinds)]
        drawn: dict[Split, Sequence[str]] = {"train": draw.train, "test": tested}
        items = [
            Item(paths[name], name, split=split, label=int(not name.startswith(NOMINAL)), defect_type=_type(name))
            for split, names in drawn.items()
            for name in names
        ]
        return sorted(items, key=lambda item: item.image_id)

    def remarks(self, root: Path, category: str) -> list[str]:
        """How many images were not sampled."""
        return self.remark_on_draw(category, len(self.items(root, category)), len(_paths(root)))


def _categories(root: Path) -> list[str]:
    return [CATEGORY] if NOMINAL in {folder.name for folder in folders(root)} else []


def _paths(root: Path) -> dict[str, Path]:
    """All images by their names below the root."""
    paths: dict[str, Path] = {}
    for kind in (NOMINAL, *KINDS):
        found = images(root / kind)
        if not found:
            raise DataError(
                f"{root / kind} has no images, but the simulated textiles have images in each of "
                f"{', '.join((NOMINAL, *KINDS))}; restore them"
            )
        paths |= {f"{kind}/{path.name}": path for path in found}
    return paths


def _type(name: str) -> str:
    kind = name.partition("/")[0]
    return GOOD if kind == NOMINAL else kind
