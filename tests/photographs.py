"""A folder of photographs as people have them: many sizes, formats and names, and some that are damaged.

The pictures are those that come with scikit-image. Nothing is known of them, as of anybody's photographs.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from skimage import data

ORIENTATION = 0x0112  # the tag of EXIF
PLAIN = ("camera", "coins", "coffee", "chelsea", "moon", "rocket", "brick", "grass", "gravel", "page", "astronaut")


class Oddity(NamedTuple):
    """A photograph that is not like the others.

    Attributes:
        name: in the folder.
        picture: of scikit-image.
        size: width and height in pixels, as stored.
        orientation: tag of EXIF; 1 for upright.
    """

    name: str
    picture: str
    size: tuple[int, int]
    orientation: int = 1


TRUNCATED = "cut off.jpg"
HEIC = "phone.heic"
LARGE = (Oddity("twelve megapixels.jpg", "retina", (4000, 3000)), Oddity("IMG 0002.JPG", "chelsea", (4000, 3000), 6))
STRIP = Oddity("line camera/strip.png", "gravel", (8000, 200))
ODDITIES = (
    *LARGE,
    STRIP,
    Oddity(TRUNCATED, "rocket", (640, 480)),
    Oddity(HEIC, "astronaut", (640, 480)),
    Oddity("turned/3.jpg", "coffee", (640, 480), 3),
    Oddity("turned/8.tif", "coins", (640, 480), 8),
    Oddity("turned/5.png", "brick", (320, 240), 5),
    Oddity("Prüfling Größe Ä.jpg", "grass", (480, 640)),
    Oddity("{3F2504E0-4F89-11D3}.png", "camera", (512, 512)),
    Oddity("part {category} <b>/a{1}.jpg", "moon", (512, 384)),
    Oddity("sixteen bits.tif", "page", (384, 191)),
    Oddity("100 % (copy), new; [1].webp", "coffee", (600, 400)),
)


def write_photographs(folder: Path, count: int = 36, scale: float = 1.0) -> list[str]:
    """Write `ODDITIES` and as many plain photographs as make up the count.

    Args:
        scale: of the sides; below 1 for tests that need not wait.

    Returns:
        Names of the readable ones in the folder, sorted.
    """
    plain = [
        Oddity(f"photo {number:02d}.jpg", PLAIN[number % len(PLAIN)], (640, 480))
        for number in range(count - len(ODDITIES))
    ]
    for photograph in (*ODDITIES, *plain):
        _write(folder / photograph.name, photograph, scale)
    return sorted(photograph.name for photograph in (*ODDITIES, *plain) if photograph.name != TRUNCATED)


def _write(path: Path, photograph: Oddity, scale: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    size = tuple(max(8, round(side * scale)) for side in photograph.size)
    image = Image.fromarray(getattr(data, photograph.picture)()).resize(size, Image.Resampling.BICUBIC)
    if path.name == "sixteen bits.tif":
        Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257).save(path)
        return
    if path.suffix == ".heic":
        import pillow_heif  # in envs/extras/heic.txt

        pillow_heif.from_pillow(image.convert("RGB")).save(path)
        return
    exif = Image.Exif()
    exif[ORIENTATION] = photograph.orientation
    content = BytesIO()
    image.save(content, Image.registered_extensions()[path.suffix.lower()], exif=exif)
    written = content.getvalue()
    path.write_bytes(written[: len(written) // 2] if path.name == TRUNCATED else written)
