"""The contents of the demo set: its categories, defect types and files, known without rendering any."""

from __future__ import annotations

from pydantic import Field

from zsad.errors import ConfigError, nearest_hint
from zsad.registry import Options

DEFECT_KINDS: dict[str, tuple[str, ...]] = {
    "brick": ("crack", "foreign_body", "hole", "stain"),
    "grass": ("bare_patch", "foreign_body", "scorch"),
    "ring": ("chip", "dent", "scratch", "stain"),
    "board": ("foreign_body", "misplaced_component", "missing_component", "scratch"),
}
CATEGORIES: tuple[str, ...] = tuple(DEFECT_KINDS)
TEXTURES: tuple[str, ...] = ("brick", "grass")


class DemoOptions(Options):
    """The size of the demo data set, and its random seed."""

    seed: int = Field(0, ge=0, description="random seed; another seed gives other images")
    size: int = Field(256, ge=64, le=1024, description="side of an image, px")
    train: int = Field(20, ge=1, description="normal training images per category")
    good: int = Field(16, ge=0, description="normal test images per category")
    defective: int = Field(24, ge=0, description="defective test images per category, divided among its defect types")


def defect_counts(category: str, options: DemoOptions) -> dict[str, int]:
    """Number of defective images of each type; the first types get the remainder.

    Raises:
        ConfigError: there is no such category.
    """
    if category not in DEFECT_KINDS:
        raise ConfigError(f"there is no demo category '{category}'{nearest_hint(category, CATEGORIES)}")
    kinds = DEFECT_KINDS[category]
    share, remainder = divmod(options.defective, len(kinds))
    return {kind: share + (index < remainder) for index, kind in enumerate(kinds)}


def planned_files(category: str, options: DemoOptions) -> list[str]:
    """Every file of a category, as POSIX paths relative to its folder, in a fixed order.

    Raises:
        ConfigError: there is no such category.
    """
    counts = defect_counts(category, options)
    files = [f"train/good/{index:03d}.png" for index in range(options.train)]
    files += [f"test/good/{index:03d}.png" for index in range(options.good)]
    for kind, count in counts.items():
        files += [f"test/{kind}/{index:03d}.png" for index in range(count)]
        files += [f"ground_truth/{kind}/{index:03d}_mask.png" for index in range(count)]
    return files
