"""Tiny images as MVTec AD and VisA lay theirs, of as few categories as are asked for."""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

from PIL import Image

TRAIN = 4  # good training images of a category


def picture(mode: str, colour: int, suffix: str) -> bytes:
    """A file of 8 x 8 equal pixels."""
    stream = BytesIO()
    Image.new(mode, (8, 8), colour).save(stream, suffix)
    return stream.getvalue()


def write_mvtec(root: Path, categories: Iterable[str]) -> Path:
    """Good and defective images of each category, with masks; returns the root."""
    image, mask = picture("RGB", 0, "PNG"), picture("L", 255, "PNG")
    files = {
        **{f"train/good/{number:03}.png": image for number in range(TRAIN)},
        "test/good/000.png": image,
        "test/bent/000.png": image,
        "ground_truth/bent/000_mask.png": mask,
    }
    return _write(root, {f"{category}/{name}": data for category in categories for name, data in files.items()})


def write_visa(root: Path, categories: Iterable[str]) -> Path:
    """The same as VisA has it, with its table of splits."""
    image, mask = picture("RGB", 0, "JPEG"), picture("L", 1, "PNG")
    lines, files = ["object,split,label,image,mask"], {}
    for category in categories:
        data = f"{category}/Data"
        for number in range(TRAIN + 1):
            files[f"{data}/Images/Normal/{number:04}.JPG"] = image
            split = "train" if number < TRAIN else "test"
            lines.append(f"{category},{split},normal,{data}/Images/Normal/{number:04}.JPG,")
        files[f"{data}/Images/Anomaly/000.JPG"], files[f"{data}/Masks/Anomaly/000.png"] = image, mask
        lines.append(f"{category},test,anomaly,{data}/Images/Anomaly/000.JPG,{data}/Masks/Anomaly/000.png")
    return _write(root, {**files, "split_csv/1cls.csv": "\n".join([*lines, ""]).encode()})


def _write(root: Path, files: dict[str, bytes]) -> Path:
    for folder in {(root / name).parent for name in files}:
        folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (root / name).write_bytes(data)
    return root
