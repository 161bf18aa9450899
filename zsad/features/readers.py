"""How many processes read images for a network."""

from __future__ import annotations

IMAGES_A_READER = 4  # with fewer images, a further process hardly works

# Starting the first process, which imports torch, takes 1.2 s; reading takes a core 35 ms a megapixel of PNG.
PIXELS_THAT_PAY = 4e7


def number_of_readers(asked: int | None, free: int, images: int, pixels: float) -> int:
    """The number of processes that read images; 0 if the network's own process reads them.

    Args:
        asked: the user's number; None for as many as are worth their start.
        free: number of cores for them.
        images: number of files.
        pixels: of all files.
    """
    if asked is not None:
        return min(asked, images)
    return 0 if pixels < PIXELS_THAT_PAY else max(0, min(free, images // IMAGES_A_READER))
