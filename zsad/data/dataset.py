"""The data set that a configuration names: its layout, its folder and the wanted categories."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from zsad.data.bounds import BoundOptions
from zsad.data.catalogue import DatasetFacts, facts_of
from zsad.data.demo.plan import CATEGORIES as DEMO_CATEGORIES
from zsad.data.demo.plan import TEXTURES as DEMO_TEXTURES
from zsad.data.demo.plan import DemoOptions
from zsad.data.image_list import of_split
from zsad.data.known_truth import NO_TRUTH, KnownTruth, known_truth
from zsad.data.layouts.base import TAKEN, Layout
from zsad.data.layouts.item import Item
from zsad.data.layouts.registry import LAYOUTS
from zsad.data.listing import image_files, images_digest, truth_digest, truth_files
from zsad.data.packages import Installed, installed
from zsad.data.readings import Policy
from zsad.errors import ConfigError, DataError, nearest_hint, one_sentence
from zsad.errors.sections import DATASET, naming
from zsad.files.tracked import check_folder_of_downloads, has_syntax

DEMO = "demo"
RESULTS = Path("results")
DEMO_FOLDER = "data"
DOWNLOADS = Path("data")


class Dataset:
    """A data set as configured.

    Args:
        config: the section ``dataset`` of a validated configuration, or another section with the same keys.
        downloads: folder of all downloads if the section names none; None for `DOWNLOADS`.
        results: folder of all results, which holds the demo images.
        section: the section of the configuration, for messages.

    Attributes:
        name: first folder under ``results/``.
        layout_name, layout: how its files are arranged on disk.
        facts: of the published data set of the layout; None for the user's own images.
        unreadable: whether unreadable images stop a run, or are left out and listed.
        bounds: limits on the aspect ratio and size of an image.
        part_names: what the photographed object is called in words: one name for all categories, or one for some
            categories; None if not given.
        is_demo: whether its images are generated.
        package: the installed package that holds its images, if the data set comes as a package and no root is given;
            else None.
        is_downloaded: whether its images are downloaded into `download_to`: any other data set without a root.
        download_to: folder of all downloads, shared by all configurations.
        root: folder of the categories; nothing is ever written into a configured one.

    Raises:
        ConfigError: a name that does not exist, or a root that is missing or superfluous.
        DataError: the package of the data set is not installed, or is incomplete.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        downloads: Path | None = None,
        results: Path = RESULTS,
        section: str = DATASET,
    ) -> None:
        self.section = section
        with naming(section):
            self.layout_name: str = config["layout"]
            self.layout: Layout = LAYOUTS.build(self.layout_name, config["params"], where="dataset.params")
            self.name: str = config["name"] or self.layout_name
            demos = results / DEMO_FOLDER
            if self.name == demos.name:
                raise ConfigError(
                    f"dataset.name cannot be '{self.name}': {demos} contains the demo images; choose another name"
                )
            self.facts: DatasetFacts | None = facts_of(self.layout_name)
            self.unreadable: Policy = config["unreadable"] or self.layout.unreadable
            bounds = {name: config[name] for name in BoundOptions.model_fields}
            self.bounds = BoundOptions.build(bounds, where="dataset")
            self.is_demo = self.layout_name == DEMO
            self.demo_options = DemoOptions.build(config["demo"], where="dataset.demo")
            asked = self.facts if config["root"] is None else None
            self.package: Installed | None = installed(asked.package, asked.title) if asked and asked.package else None
            self.is_downloaded = asked is not None and self.package is None
            self.download_to = Path(config["download_to"] or downloads or DOWNLOADS)
            self.root = self._root(config["root"], demos)
            self._wanted: list[str] | str = config["categories"]
            self.part_names: Mapping[str, str] | str | None = config.get("part_names")
            self._items: dict[str, list[Item]] = {}
            self._truths: dict[str, KnownTruth] = {}
            self._files: dict[tuple[str, str], list[Path]] = {}

    @property
    def is_here(self) -> bool:
        """Whether the images can be listed, which is only after their download."""
        return not self.is_downloaded or self.root.exists()

    def check(self) -> None:
        """Raise the errors of `categories` if the images are here; else compare the names with the published ones.

        Raises:
            ConfigError: a category has not been published, or the images cannot be downloaded into a file.
        """
        with naming(self.section):
            if self.is_downloaded:
                self._check_downloads()
            if self.is_here:
                _ = self.categories
            elif self._wanted != "all" and self.facts is not None and self.facts.categories:
                self._check_published(self.facts, self._wanted)

    @cached_property
    def categories(self) -> list[str]:
        """The wanted categories; all that exist on disk can be wanted.

        Raises:
            ConfigError: one that is wanted does not exist, or cannot be the name of a folder of results.
            DataError: the data set's folder is absent or has no category.
        """
        with naming(self.section):
            return self._checked_categories()

    @property
    def known_categories(self) -> list[str]:
        """All categories, wanted or not: those on disk, or the published ones before the download; empty if unknown."""
        return self._on_disk if self.is_here else list(self.facts.categories) if self.facts else []

    @property
    def expected_categories(self) -> list[str]:
        """The wanted ones of `known_categories`, for messages before a download."""
        return [category for category in self.known_categories if self._wanted == "all" or category in self._wanted]

    def items(self, category: str) -> list[Item]:
        """The images of a category on disk; they are listed once, and none is opened.

        Only for images that are here (`is_here`), and not for the demo set, whose images the run makes.

        Raises:
            DataError: as `files`.
        """
        if category not in self._items:
            with naming(self.section):
                self._items[category] = self.layout.items(self.root, category)
        return self._items[category]

    def image_paths(self) -> Iterator[Path]:
        """Iterate over the images of all categories, as in `items`."""
        for category in self.categories:
            yield from (item.path for item in self.items(category))

    def truth(self, category: str) -> KnownTruth:
        """Which labels and masks the test images of a category have, as far as known without opening an image.

        Raises:
            DataError: as `items`.
        """
        if self.is_demo or not self.is_here or self.layout.expected_truth == NO_TRUTH:
            return self._expected_truth
        if category not in self._truths:
            self._truths[category] = known_truth(self.items(category))
        return self._truths[category]

    def truths(self) -> Iterator[KnownTruth]:
        """The known ground truth of every category; a category is listed only when it is reached."""
        yield from map(self.truth, self.categories) if self.is_here else [self._expected_truth]

    def counts(self, category: str) -> dict[str, int] | None:
        """Number of images of a category by split, ``"train"`` and ``"test"``, from their paths; no image is opened.

        Known defective training images are not counted; those that only a mask shows to be defective are.

        Returns:
            None where it cannot be known: before the download, or where the listing fails (`files` raises the error).
        """
        if self.is_demo:
            options = self.demo_options
            return {"train": options.train, "test": options.good + options.defective}
        if not self.is_here:
            return None
        try:
            items = self.items(category)
        except DataError:
            return None
        splits = [item.split for item in items if item.split == "test" or item.label != 1]
        return {split: splits.count(split) for split in ("train", "test")}

    @property
    def more_references(self) -> str:
        """How to provide more normal training images, as an imperative."""
        return "raise dataset.demo.train" if self.is_demo else self.layout.more_references

    def files(self, category: str) -> list[Path]:
        """Every file of a category that is read, for its check.

        A broken link is left out: the reader of the images reports it, instead of Snakemake with all paths.

        Raises:
            DataError: a table of the data set is missing or invalid, or a file name is not valid text.
        """
        return self._existing("checked", category, lambda items: self.layout.files(self.root, category, items))

    def image_files(self, category: str) -> list[Path]:
        """The files that the list of images depends on, in the form of `files`."""
        return self._existing("images", category, image_files)

    def train_files(self, category: str) -> list[Path]:
        """The files that the list of training images depends on, in the form of `files`."""
        return self._existing("train", category, lambda items: image_files(of_split(items, "train")))

    def truth_files(self, category: str) -> list[Path]:
        """The files that the manifest depends on besides the list of images, in the form of `files`."""
        return self._existing("truth", category, truth_files)

    def images_digest(self, category: str) -> str:
        """Digest of what paths and tables say about a category's images, except labels, defect types and test masks."""
        return images_digest(self.items(category))

    def train_digest(self, category: str) -> str:
        """The same digest for its training images alone."""
        return images_digest(of_split(self.items(category), "train"))

    def truth_digest(self, category: str) -> str:
        """Digest of labels, defect types and masks, as paths and tables give them."""
        return truth_digest(self.items(category))

    def saturation(self, category: str) -> Path | None:
        """The table of saturation areas of a category's defects; None for most data sets."""
        return self.layout.saturation(self.root, category)

    @property
    def folder_of_tables(self) -> str:
        """The folder for a user's table of the images, whose paths start there; empty if it is not beside the images.

        Nothing is written into the folder of a package.
        """
        if self.package:
            return ""
        return (self.root.parent if self.root.is_file() else self.root).as_posix()

    @property
    def textures(self) -> list[str]:
        """The wanted categories that are known to be textures; the others are objects or unknown."""
        known = DEMO_TEXTURES if self.is_demo else self.facts.textures if self.facts else ()
        return [category for category in self.categories if category in known]

    @property
    def published(self) -> str:
        """The published data set that this is, by the name of its layout; empty for the user's own images."""
        return self.layout_name if self.facts else ""

    def list_files(self) -> None:
        """Raise the errors of `files` for any category, if the images are here; they are listed once.

        Raises:
            DataError: also where a category's folders contradict the layout.
        """
        if not self.is_here or self.is_demo:
            return
        with naming(self.section):
            for category in self.categories:
                self.files(category)
            findings = [
                finding for category in self.categories for finding in self.layout.findings(self.root, category)
            ]
            if stops := [finding.text for finding in findings if finding.stops]:
                raise DataError(one_sentence(stops))

    def stage_config(self) -> dict[str, Any]:
        """What a list of images and a manifest depend on, besides the files and their listing."""
        return {
            "layout": self.layout_name,
            "params": self.layout.parameters(),
            "root": self.root.as_posix(),
            "unreadable": self.unreadable,
            **({"package": str(self.package)} if self.package else {}),
        }

    def resolved(self) -> dict[str, Any]:
        """Everything that the results depend on, with all defaults filled in; for the page."""
        demo = {"demo": self.demo_options.parameters()} if self.is_demo else {}
        described = {"name": self.name, **self.stage_config(), **self.bounds.parameters()}
        licence = {"licence": self.facts.licence} if self.facts else {}
        return {**described, **licence, "categories": self.categories, **demo}

    def _checked_categories(self) -> list[str]:
        """See `categories`."""
        available = self._on_disk
        overlooked = [] if self.is_demo else self.layout.overlooked(self.root)
        if self._wanted == "all" and overlooked:
            raise DataError(one_sentence(overlooked))
        wanted = available if self._wanted == "all" else list(self._wanted)
        for category in wanted:
            if category not in available:
                hint = nearest_hint(category, available)
                there = ", ".join(available)
                known = next((sentence for sentence in overlooked if f"/{category} has" in sentence), None)
                if known:
                    raise ConfigError(f"category '{category}' cannot be read: {known}")
                raise ConfigError(f"category '{category}' does not exist in {self.root}{hint} (there are: {there})")
            if category in TAKEN or has_syntax(category):
                raise ConfigError(
                    f"a category cannot be called '{category}': the name is reserved, or has one of {{ }} < >; "
                    "rename its folder"
                )
        return wanted

    def _existing(self, kind: str, category: str, files: Callable[[Sequence[Item]], list[Path]]) -> list[Path]:
        """Those files of a category that exist; Snakemake asks for them many times, so that the result is kept."""
        if (kind, category) not in self._files:
            with naming(self.section):
                self._files[kind, category] = [path for path in files(self.items(category)) if path.exists()]
        return self._files[kind, category]

    @property
    def _expected_truth(self) -> KnownTruth:
        if self.is_demo:
            good, defective = bool(self.demo_options.good), bool(self.demo_options.defective)
            return KnownTruth(good, defective, masks=defective)
        return self.layout.expected_truth

    @cached_property
    def _on_disk(self) -> list[str]:
        return list(DEMO_CATEGORIES) if self.is_demo else self.layout.categories(self.root)

    def _check_downloads(self) -> None:
        if self.download_to.exists() and not self.download_to.is_dir():
            raise ConfigError(f"dataset.download_to {self.download_to} is a file; set it to a folder")
        check_folder_of_downloads(self.download_to)

    @staticmethod
    def _check_published(facts: DatasetFacts, wanted: Sequence[str]) -> None:
        for category in wanted:
            if category not in facts.categories:
                hint = nearest_hint(category, facts.categories)
                raise ConfigError(
                    f"{facts.title} has no category '{category}', so that the download would not contain it{hint}"
                )

    def _root(self, root: str | None, demos: Path) -> Path:
        if self.is_demo:
            if root is not None:
                raise ConfigError(
                    "dataset.root is set but dataset.layout is 'demo', which makes its own images; "
                    "set dataset.layout to 'mvtec' to use the folder, or dataset.root to null"
                )
            return demos / self.name
        if root is not None:
            return Path(root)
        if self.package:
            return self.package.root
        if self.facts is not None:
            return self.download_to / self.layout_name / self.facts.root
        raise ConfigError(f"dataset.layout '{self.layout_name}' needs dataset.root, the folder of the images")
