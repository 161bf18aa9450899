"""The MVTec LOCO AD layout (Bergmann et al., IJCV 130, 2022).

::

    <category>/train/good/*.png
    <category>/validation/good/*.png                              left out
    <category>/test/good/*.png
    <category>/test/logical_anomalies/000.png
    <category>/test/structural_anomalies/000.png
    <category>/ground_truth/logical_anomalies/000/000.png ...     one file per defect; see `zsad.data.saturation`
    <category>/defects_config.json                                meaning of the masks' pixel values
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from zsad.data.layouts.item import Item
from zsad.data.layouts.mvtec import MvtecLayout
from zsad.data.saturation import CONFIG_NAME, read_defect_kinds


class MvtecLocoLayout(MvtecLayout):
    """MVTec AD's folders with logical and structural anomalies, whose masks are folders with one file per defect."""

    summary: ClassVar[str] = "MVTec LOCO AD: logical and structural anomalies, one mask file per defect"
    title: ClassVar[str] = "MVTec LOCO AD"

    def items(self, root: Path, category: str) -> list[Item]:
        """As `MvtecLayout.items`, the defect type being ``logical_anomalies`` or ``structural_anomalies``.

        Raises:
            DataError: the table of defects is missing or invalid.
        """
        read_defect_kinds(self.saturation(root, category))
        return super().items(root, category)

    def tables(self, root: Path, category: str) -> list[Path]:
        """The table of defects, without which the masks cannot be evaluated."""
        return [self.saturation(root, category)]

    def saturation(self, root: Path, category: str) -> Path:
        """The same table."""
        return root / category / CONFIG_NAME
