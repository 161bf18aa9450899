"""Damages that can befall any file, by path from the working directory."""

from __future__ import annotations

import os
import resource
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from fault import Damage, Place

HTML = b"<!DOCTYPE html><html><head><title>404</title></head><body>not found</body></html>\n"


def nothing(place: Place) -> None:
    """Leave everything as it is: the fault is in the configuration, or on the server."""


def draw(path: str | Path, seed: int, size: tuple[int, int] = (32, 40), **options: object) -> None:
    """An image of random pixels, ``size = (height, width)``."""
    save(path, np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8), **options)


def save(path: str | Path, pixels: np.ndarray, **options: object) -> None:
    """An image of given pixels."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def draw_mask(path: str | Path, size: tuple[int, int] = (32, 40)) -> None:
    """A mask with a square of 64 px."""
    pixels = np.zeros(size, np.uint8)
    pixels[8:16, 8:16] = 255
    save(path, pixels)


def drawn(path: str, seed: int = 99, size: tuple[int, int] = (32, 40), **options: object) -> Damage:
    """Put another image in a place."""
    return lambda place: draw(path, seed, size, **options)


def saved(path: str, pixels: np.ndarray, **options: object) -> Damage:
    """Put an image of given pixels in a place."""
    return lambda place: save(path, pixels, **options)


def written(path: str, content: bytes | str) -> Damage:
    """Write a file, over what is there."""

    def damage(place: Place) -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(content.encode() if isinstance(content, str) else content)

    return damage


def cut(path: str, share: float) -> Damage:
    """Leave the first part of a file; a negative share counts bytes at its end."""

    def damage(place: Place) -> None:
        content = Path(path).read_bytes()
        Path(path).write_bytes(content[: int(share * len(content)) if share >= 0 else int(share)])

    return damage


def edited(path: str, old: str, new: str) -> Damage:
    """Change a text in a file."""

    def damage(place: Place) -> None:
        text = Path(path).read_text(encoding="utf-8")
        assert old in text
        Path(path).write_text(text.replace(old, new), encoding="utf-8")

    return damage


def appended(path: str, text: str) -> Damage:
    """Write something at the end of a text."""

    def damage(place: Place) -> None:
        with Path(path).open("a", encoding="utf-8") as stream:
            stream.write(text)

    return damage


def removed(*paths: str) -> Damage:
    """Remove files, or folders with all that is in them."""

    def damage(place: Place) -> None:
        for path in map(Path, paths):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    return damage


def new_folder(path: str) -> Damage:
    """Make a folder with nothing in it."""
    return lambda place: Path(path).mkdir()


def emptied(path: str) -> Damage:
    """Make a folder empty, or a file a folder with nothing in it."""
    return in_turn(removed(path), new_folder(path))


def moved(path: str, to: str) -> Damage:
    """Give a file or folder another name."""

    def damage(place: Place) -> None:
        Path(to).parent.mkdir(parents=True, exist_ok=True)
        Path(path).rename(to)

    return damage


def linked(path: str, target: str) -> Damage:
    """Put a link in the place of a file; the target is seen from where the link is."""

    def damage(place: Place) -> None:
        Path(path).unlink(missing_ok=True)
        Path(path).symlink_to(target)

    return damage


def in_turn(*damages: Damage) -> Damage:
    """One after the other."""

    def damage(place: Place) -> None:
        for each in damages:
            each(place)

    return damage


def renamed_to_bytes(path: str, name: bytes) -> Damage:
    """Give a file a name that need not be text."""
    return lambda place: Path(path).rename(Path(path).with_name(os.fsdecode(name)))


def files_up_to(size: int) -> Damage:
    """A system that lets no file grow beyond a size, as a disk does that runs full."""

    def damage(place: Place) -> None:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        place.around.callback(resource.setrlimit, resource.RLIMIT_FSIZE, before)

    return damage
