"""The Real-IAD layout (Wang et al., CVPR 2024; https://github.com/Tencent/AnomalyDetection_Real-IAD).

::

    realiad_1024/<category>/OK/S0001/<category>_0001_OK_C1_20231021130235.jpg            and realiad_256, _512, _raw
    realiad_1024/<category>/NG/BX/S0001/<category>_0001_NG_BX_C1_20231021130235.jpg
    realiad_1024/<category>/NG/BX/S0001/<category>_0001_NG_BX_C1_20231021130235.png      its mask
    realiad_jsons/<category>.json                   all five views of each sample
    realiad_jsons_sv/<category>.json                the view from above (C1) alone
    realiad_jsons_fuiad_0.1/<category>.json         and 0.0, 0.2, 0.4: that share of the training set is defective

Many unpack the JSON files one folder deeper, as ``realiad_jsons/realiad_jsons_sv/<category>.json`` (so does anomalib);
that is supported, too. Each is ``{"meta": {"prefix": "<category>/", "normal_class": "OK"}, "train": [...], "test":
[...]}`` of entries ``{"category", "anomaly_class", "image_path", "mask_path"}``, whose paths start at the prefix. A
sample in ``NG`` is photographed from five sides, and its defect is not visible from all of them: the class of the entry
gives the label, not the folder.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from zsad.data.layouts.base import GOOD, Layout, folders
from zsad.data.layouts.item import Item
from zsad.data.layouts.listed import listed_file
from zsad.data.layouts.roots import categories_or_error
from zsad.data.subsets import Split
from zsad.errors import DataError
from zsad.errors.mistakes import reason_of

IMAGES = "realiad_"
JSONS = "realiad_jsons"
DEFECT_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "AK": "pit",
        "BX": "deformation",
        "CH": "abrasion",
        "HS": "scratch",
        "PS": "damage",
        "QS": "missing_parts",
        "YW": "foreign_objects",
        "ZW": "contamination",
    }
)


class Meta(BaseModel):
    """The common facts of a JSON file: where its paths start, and the class of normal images."""

    model_config = ConfigDict(frozen=True)

    prefix: str
    normal_class: str


class Entry(BaseModel):
    """An image of a JSON file; the mask is None for a normal image."""

    model_config = ConfigDict(frozen=True)

    anomaly_class: str
    image_path: str
    mask_path: str | None = None


class SplitTable(BaseModel):
    """A JSON file of a category."""

    model_config = ConfigDict(frozen=True)

    meta: Meta
    train: tuple[Entry, ...]
    test: tuple[Entry, ...]


class RealIadLayout(Layout):
    """Images in one of several sizes, and JSON files that split and label them for one of several protocols."""

    summary: ClassVar[str] = "Real-IAD: realiad_<size>/<category>, split and labelled by realiad_jsons/<category>.json"

    resolution: Annotated[Literal["256", "512", "1024", "raw"], BeforeValidator(str)] = Field(
        "1024", description="size of the images: the longer side in pixels, or raw"
    )
    protocol: Literal[
        "realiad_jsons",
        "realiad_jsons_sv",
        "realiad_jsons_fuiad_0.0",
        "realiad_jsons_fuiad_0.1",
        "realiad_jsons_fuiad_0.2",
        "realiad_jsons_fuiad_0.4",
    ] = Field(
        "realiad_jsons",
        description=(
            "folder of the JSON files: all five views, the one from above alone (_sv), or the splits with defective "
            "training images (_fuiad_<share>), whose defective training images are left out here"
        ),
    )

    @property
    def image_folder(self) -> str:
        """Folder of the images in the chosen size."""
        return f"{IMAGES}{self.resolution}"

    def categories(self, root: Path) -> list[str]:
        """Folders under that of the images in the chosen size."""
        found = self._categories(root)
        other = next((size for size in ("1024", "512", "256", "raw") if folders(root / f"{IMAGES}{size}")), None)
        if not found and other:
            raise DataError(
                f"{root} has images not in {self.image_folder} but in {IMAGES}{other}; "
                f"set dataset.params.resolution to '{other}'"
            )
        what = f"folder '{self.image_folder}' with one folder per category in it, as Real-IAD must have"
        return categories_or_error(root, found, what, find=self._categories)

    def _categories(self, root: Path) -> list[str]:
        return [folder.name for folder in folders(root / self.image_folder)]

    def items(self, root: Path, category: str) -> list[Item]:
        """The images that the JSON file of the chosen protocol lists."""
        (table,) = self.tables(root, category)
        items: dict[str, Item] = {}
        for item, where in self._listed(root, category, table):
            if item.image_id in items:
                raise DataError(f"{where}: {item.image_id} is listed twice; remove one of the entries")
            items[item.image_id] = item
        return sorted(items.values(), key=lambda item: item.image_id)

    def tables(self, root: Path, category: str) -> list[Path]:
        """The JSON file of the category."""
        deeper = root / JSONS / self.protocol
        return [(deeper if deeper.is_dir() else root / self.protocol) / f"{category}.json"]

    def remarks(self, root: Path, category: str) -> list[str]:
        """How many defective images of the contaminated training sets are left out."""
        count = sum(item.split == "train" and item.label == 1 for item in self.items(root, category))
        if not count:
            return []
        return [
            f"the defective training images of {category} ({count}) are left out, since all methods here are trained "
            f"only on normal images: results are not comparable with published ones for {self.protocol}"
        ]

    def _listed(self, root: Path, category: str, table: Path) -> Iterator[tuple[Item, str]]:
        """Each item, and its place in the JSON file."""
        content = _read(table)
        entries: dict[Split, tuple[Entry, ...]] = {"train": content.train, "test": content.test}
        for split, listed in entries.items():
            for index, entry in enumerate(listed):
                where = f"{table}, {split}[{index}]"
                yield self._item(root, category, split, entry, content.meta, where), where

    def _item(self, root: Path, category: str, split: Split, entry: Entry, meta: Meta, where: str) -> Item:
        home = root / self.image_folder
        is_good = entry.anomaly_class == meta.normal_class
        path = _file(home, category, meta.prefix, entry.image_path, f"{where}: the image")
        mask = "" if is_good else entry.mask_path
        return Item(
            path,
            path.relative_to(home / category).as_posix(),
            split=split,
            label=int(not is_good),
            defect_type=GOOD if is_good else DEFECT_TYPES.get(entry.anomaly_class, entry.anomaly_class),
            mask=_file(home, category, meta.prefix, mask, f"{where}: the mask") if mask else None,
        )


def _read(table: Path) -> SplitTable:
    """Read a JSON file of a category.

    Raises:
        DataError: it does not exist, is damaged, or lacks a required entry.
    """
    try:
        return SplitTable.model_validate_json(table.read_bytes())
    except FileNotFoundError:
        raise DataError(f"{table} does not exist; unpack realiad_jsons.zip or set dataset.params.protocol") from None
    except OSError as error:
        raise DataError(f"{table} cannot be read ({error.strerror}); make it readable") from None
    except ValidationError as error:
        raise DataError(f"{table}{_complaint(error)}; take the file from realiad_jsons.zip again") from None


def _complaint(error: ValidationError) -> str:
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return f" is not JSON ({first['ctx']['error']})"
    place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in first["loc"]).lstrip(".")
    if first["type"] == "missing":
        return f" has no {place}"
    return f", {place or 'the whole file'}: {reason_of(first)}"


def _file(home: Path, category: str, prefix: str, text: str, what: str) -> Path:
    """The path of a file that the JSON file names; all paths share a prefix."""
    fix = f"unpack {category}.zip again or remove the entry"
    return listed_file(home, category, PurePosixPath(prefix, text).as_posix(), what, fix)
