"""How many processes read images for a network."""

from __future__ import annotations

IMAGES_A_READER = 4  # with fewer images, a further process hardly works

# Starting the first process, which imports torch, takes 1.2 s; reading takes a core 35 ms a megapixel of PNG.
PIXELS_THAT_PAY = 4e7


def number_of_readers(wanted: int, images: int, pixels: float) -> int:
    """The number of processes that are worth their start; 0 if the network's own process reads the images faster.

    Args:
        wanted: at most so many.
        images: number of files.
        pixels: of all files.
    """
    return 0 if pixels < PIXELS_THAT_PAY else max(0, min(wanted, images // IMAGES_A_READER))
