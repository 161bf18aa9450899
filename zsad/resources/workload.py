"""How many images a category has, and how large they are, before anything of it is computed.

The list of images gives exact numbers. Before it exists, the layout lists the images, and the headers of three images
per split represent their sizes; a demo category follows from its options; and a data set that is not downloaded yet
from its published facts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from zsad.data.dataset import Dataset
from zsad.data.image_list import read_image_list
from zsad.data.images import image_size, is_image
from zsad.data.subsets import references_count, synthetic_named
from zsad.errors import ZsadError
from zsad.features.views import variants

if TYPE_CHECKING:
    from zsad.workflow.entries import SupportEntry

USUAL_SIDE = 1024  # pixels, for an image of unknown size
USUAL_COUNTS = {"train": 250, "test": 120}  # approximately a category of MVTec AD
SPLITS = ("train", "test")


class Size(NamedTuple):
    """A size and the number of images with it; height and width in pixels, upright."""

    height: int
    width: int
    images: int

    @property
    def pixels(self) -> int:
        """Number of pixels of one image."""
        return self.height * self.width


class Images(NamedTuple):
    """Some images, by their sizes; the largest first.

    Attributes:
        drawn_from: the sizes of all images from which these largest ones were taken; a random sample may contain any of
            them, with a larger patch grid. Empty if they are not a sample.
    """

    sizes: tuple[Size, ...]
    drawn_from: tuple[Size, ...] = ()

    @classmethod
    def of(cls, sizes: Iterable[tuple[int, int]]) -> Images:
        """Images with the given heights and widths, one entry per image."""
        counted = (Size(*size, images) for size, images in Counter(sizes).items())
        return cls(tuple(sorted(counted, key=lambda size: size.pixels, reverse=True)))

    @property
    def number(self) -> int:
        """Number of images."""
        return sum(size.images for size in self.sizes)

    @property
    def pixels(self) -> int:
        """Number of pixels of all images."""
        return sum(size.images * size.pixels for size in self.sizes)

    @property
    def largest(self) -> Size:
        """The size of the largest; a single pixel if there are no images."""
        return self.sizes[0] if self.sizes else Size(1, 1, 0)

    @property
    def shapes(self) -> tuple[Size, ...]:
        """The sizes that any image may have; a single pixel if there are no images."""
        return self.drawn_from or self.sizes or (self.largest,)

    def first(self, count: int) -> Images:
        """The ``count`` largest images: an upper limit for any sample of this size."""
        kept, left = [], count
        for size in self.sizes:
            kept.append(size._replace(images=min(size.images, left)))
            left -= kept[-1].images
        return Images(tuple(size for size in kept if size.images), self.shapes)

    def repeated(self, count: int) -> Images:
        """``count`` images, repeating these in turn; the largest first."""
        if not self.number:
            return self
        rounds, left = divmod(count, self.number)
        sizes = []
        for size in self.sizes:
            once_more = min(size.images, left)
            left -= once_more
            sizes.append(size._replace(images=rounds * size.images + once_more))
        return self._replace(sizes=tuple(size for size in sizes if size.images))


class Workload(NamedTuple):
    """The images of a category by split."""

    train: Images
    test: Images

    @property
    def every(self) -> Images:
        """Both splits together."""
        sizes = sorted((*self.train.sizes, *self.test.sizes), key=lambda size: size.pixels, reverse=True)
        return Images(tuple(sizes))

    def of(self, subset: str, view: str = "original") -> Images:
        """The images of a subset as a view shows them; see `zsad.data.subsets`."""
        if (made := synthetic_named(subset)) is not None:
            return shown(self.of(made.references).repeated(made.images), view)
        images = self.test if subset == "test" else self.train
        if (drawn := references_count(subset)) is not None:
            images = images.first(drawn)
        return shown(images, view)


def workload_of(data: Dataset, category: str, listed: Path) -> Workload:
    """The images of a category, as far as they are known now.

    Images that cannot be read or listed raise no error here: the step that reads them reports them.

    Args:
        listed: path of the category's list of images, which may not exist yet.
    """
    try:
        records = read_image_list(listed)
    except ZsadError:
        return _expected(data, category)
    sizes = {split: [(r.height, r.width) for r in records if r.split == split] for split in SPLITS}
    return Workload(**{split: Images.of(of_split) for split, of_split in sizes.items()})


def examples_of(data: Dataset, support: SupportEntry, category: str, listed: Path) -> Images:
    """The examples of a support for a category, as far as they are known now; see `workload_of`.

    Args:
        listed: path of the list of its images, which may not exist yet.
    """
    try:
        records = read_image_list(listed)
    except ZsadError:
        try:
            files = [path for path in support.files(category) if is_image(path)] if data.is_here else []
        except (ZsadError, OSError):
            files = []
        return _shared(len(files), _sizes_of(files) or [(USUAL_SIDE, USUAL_SIDE)])
    return Images.of((record.height, record.width) for record in records)


def shown(images: Images, view: str) -> Images:
    """Images as a view shows them, one or several times each."""
    times = len(variants(view))
    return images._replace(sizes=tuple(size._replace(images=times * size.images) for size in images.sizes))


def _expected(data: Dataset, category: str) -> Workload:
    if data.is_demo:
        options = data.demo_options
        size = (options.size, options.size)
        return Workload(Images.of([size] * options.train), Images.of([size] * (options.good + options.defective)))
    try:
        items = data.layout.items(data.root, category) if data.is_here else []
    except (ZsadError, OSError):
        items = []
    if not items:
        return Workload(**{split: _usual(_published(data, category, split), split) for split in SPLITS})
    listed = {split: [item for item in items if item.split == split] for split in SPLITS}
    known = {split: _sizes_of([item.path for item in of_split]) for split, of_split in listed.items()}
    anywhere = [size for sizes in known.values() for size in sizes] or [(USUAL_SIDE, USUAL_SIDE)]
    return Workload(**{split: _shared(len(of_split), known[split] or anywhere) for split, of_split in listed.items()})


def _sizes_of(paths: Sequence[Path]) -> list[tuple[int, int]]:
    """Height and width of the first, the middle and the last image, as far as they can be read."""
    sizes = []
    for index in sorted({0, len(paths) // 2, len(paths) - 1} if paths else ()):
        try:
            sizes.append(image_size(paths[index]))
        except (ZsadError, OSError):
            continue
    return sizes


def _shared(count: int, sizes: Sequence[tuple[int, int]]) -> Images:
    """``count`` images, equally many of each size."""
    return Images.of(sizes[index % len(sizes)] for index in range(count))


def _published(data: Dataset, category: str, split: str) -> int | None:
    counts = data.facts.categories.get(category) if data.facts else None
    return None if counts is None else getattr(counts, split)


def _usual(count: int | None, split: str) -> Images:
    return Images.of([(USUAL_SIDE, USUAL_SIDE)] * (USUAL_COUNTS[split] if count is None else count))
