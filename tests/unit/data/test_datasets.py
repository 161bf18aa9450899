"""The catalogue of published data sets agrees with the layouts, with itself, and with what the authors publish."""

from __future__ import annotations

from collections import Counter
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import pytest
import yaml

from zsad.data import catalogue
from zsad.data.catalogue import CATALOGUE_PATH, UNVERIFIED, Archive, datasets, facts_of, read_catalogue
from zsad.data.layouts.registry import LAYOUTS
from zsad.errors import DataError

ANYBODYS = {"demo", "mvtec", "folder", "csv"}  # layouts for images that nobody has published
PUBLISHED = [name for name in LAYOUTS.names() if name not in ANYBODYS]
ARCHIVES = [pytest.param(archive, id=archive.file) for facts in datasets().values() for archive in facts.archives]
PACKED = (".zip", ".tar", ".tar.gz", ".tar.xz")

# Totals from the papers and the authors' pages, counted apart from the catalogue: categories, training and test images.
TOTALS = {
    "mvtec_ad": (15, 3629, 1725),  # Bergmann et al. 2019, table 1
    "mvtec_ad_2": (8, 2528, 379 + 705),  # the public test set: good, bad
    "mvtec_loco": (5, 1772, 575 + 432 + 561),  # good, structural, logical
    "visa": (12, 10821 - 2162, 962 + 1200),  # 9621 normal and 1200 anomalous images
    "btad": (3, 1799, 741),
    "mpdd": (6, 888, 176 + 282),
    "kolektor_sdd2": (1, 246 + 2085, 110 + 894),  # defective, good
}

ONE = """
mine:
  title: Mine
  citation: I, 2026
  licence: "mine: ask me"
  homepage: https://example.org
  categories: {bolt: {train: 3, test: 4}, nut: null}
  archives:
    - {file: mine.zip, urls: ["https://example.org/mine.zip"], verified: "unverified: I say so"}
"""


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_layout_of_a_published_data_set_has_its_facts(name: str) -> None:
    facts = facts_of(name)
    assert facts is not None
    assert facts.categories
    assert bool(facts.archives) != bool(facts.package)
    assert all([facts.title, facts.citation, facts.licence])


@pytest.mark.parametrize("name", sorted(ANYBODYS))
def test_layouts_for_anybodys_images_have_none(name: str) -> None:
    assert facts_of(name) is None


def test_there_are_no_facts_without_a_layout() -> None:
    assert sorted(datasets()) == sorted(PUBLISHED)


@pytest.mark.parametrize(("name", "total"), TOTALS.items(), ids=TOTALS)
def test_counts_add_up_to_the_published_totals(name: str, total: tuple[int, int, int]) -> None:
    counts = datasets()[name].categories
    assert len(counts) == total[0]
    assert sum(count.train for count in counts.values()) == total[1]
    assert sum(count.test for count in counts.values()) == total[2]


@pytest.mark.parametrize("name", sorted({*PUBLISHED} - {*TOTALS}))
def test_where_no_total_is_known_no_count_is_invented(name: str) -> None:
    assert set(datasets()[name].categories.values()) == {None}


def test_each_category_of_real_iad_has_its_archive() -> None:
    facts = datasets()["real_iad"]
    images = [archive for archive in facts.archives if archive.into == "realiad_1024"]
    assert [PurePosixPath(archive.file).stem for archive in images] == list(facts.categories)
    assert len(images) == 30


def test_archives_of_all_data_sets_can_lie_in_one_folder() -> None:
    names = Counter(archive.file.lower() for facts in datasets().values() for archive in facts.archives)
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize("archive", ARCHIVES)
def test_an_archive_says_where_it_comes_from(archive: Archive) -> None:
    assert archive.urls or archive.by_hand
    assert len(set(archive.urls)) == len(archive.urls)
    assert all(urlsplit(url).scheme == "https" and urlsplit(url).netloc for url in archive.urls)


@pytest.mark.parametrize("archive", ARCHIVES)
def test_what_is_not_pinned_is_marked(archive: Archive) -> None:
    assert archive.verified.startswith(UNVERIFIED) == (archive.sha256 is None)
    assert "SHA-256" in archive.verified
    assert "size" in archive.verified
    assert "\n" not in archive.verified


@pytest.mark.parametrize("archive", ARCHIVES)
def test_an_archive_stays_in_its_folder(archive: Archive) -> None:
    assert archive.file.endswith(PACKED)
    for path in (PurePosixPath(archive.file), PurePosixPath(archive.into)):
        assert not path.is_absolute()
        assert ".." not in path.parts


def test_no_hash_is_pinned_twice() -> None:
    hashes = [archive.sha256 for facts in datasets().values() for archive in facts.archives if archive.sha256]
    assert len(set(hashes)) == len(hashes)


@pytest.mark.parametrize("name", PUBLISHED)
def test_roots_and_homepages_make_sense(name: str) -> None:
    facts = datasets()[name]
    assert urlsplit(facts.homepage).scheme == "https"
    assert not PurePosixPath(facts.root).is_absolute()
    assert ".." not in PurePosixPath(facts.root).parts


@pytest.mark.parametrize("name", PUBLISHED)
def test_no_archive_is_larger_than_what_comes_out_of_it_by_much(name: str) -> None:
    """A slip of a digit in a size would refuse a right archive, or let a bomb pass."""
    facts = datasets()[name]
    if facts.unpacked_bytes:
        packed = sum(archive.size or 0 for archive in facts.archives)
        assert 0.99 * packed < facts.unpacked_bytes < 6 * packed


def test_no_data_set_category_or_key_is_written_twice() -> None:
    """YAML takes the last of two equal keys without a word."""
    assert _repeated_keys(yaml.compose(CATALOGUE_PATH.read_text(encoding="utf-8"))) == []


def test_a_catalogue_is_read(tmp_path: Path) -> None:
    facts = read_catalogue(_write(tmp_path, ONE))["mine"]
    assert facts.root == "."
    assert facts.categories["bolt"].test == 4
    assert facts.categories["nut"] is None
    assert facts.archives[0].sha256 is None
    with pytest.raises(ValueError, match="frozen"):
        facts.title = "Yours"


@pytest.mark.parametrize(
    ("right", "wrong", "sentence"),
    [
        ("  title:", "  titel:", "mine.title: field required"),
        ("  title: Mine", "  title: Mine\n  licens: x", "there is no key mine.licens"),
        ("file: mine.zip,", "file: mine.zip, sha265: x,", "there is no key mine.archives.0.sha265"),
        ("file: mine.zip,", "file: mine.zip, sha256: abc,", "mine.archives.0.sha256: string should match pattern"),
        ("file: mine.zip,", "file: mine.zip, size: 0,", "mine.archives.0.size: it must be greater than 0"),
        ('urls: ["https://example.org/mine.zip"],', "", "mine.archives.0: an archive needs urls, or by_hand"),
        ("bolt: {train: 3,", "bolt: {trian: 3,", "there is no key mine.categories.bolt.trian"),
        ("bolt: {train: 3,", "bolt: {train: many,", "mine.categories.bolt.train: it must be a whole number"),
        ("bolt:", "01:", "mine.categories.1.[key]: it must be text"),
        (ONE, "", "the file: it must hold keys and values"),
        (ONE, "- mine", "the file: it must hold keys and values"),
    ],
)
def test_a_wrong_catalogue_is_refused_in_one_sentence(tmp_path: Path, right: str, wrong: str, sentence: str) -> None:
    assert right in ONE
    path = _write(tmp_path, ONE.replace(right, wrong))
    with pytest.raises(DataError) as caught:
        read_catalogue(path)
    assert str(caught.value).startswith(f"the catalogue of data sets {path} is wrong: {sentence}")
    assert str(caught.value).endswith("; correct it")


@pytest.mark.parametrize(
    "content", [b"mine: {title: Mine", b"mine:\n\t- tab", b"\xff\xfe\x00", b"mine: !!python/name:os.system"]
)
def test_what_is_no_yaml_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "catalogue.yaml"
    path.write_bytes(content)
    with pytest.raises(DataError, match="is not YAML") as caught:
        read_catalogue(path)
    assert "\n" not in str(caught.value)


def test_a_missing_catalogue_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "gone.yaml"
    monkeypatch.setattr(catalogue, "CATALOGUE_PATH", path)
    with pytest.raises(DataError, match=f"{path} cannot be read .*; restore it"):
        datasets.__wrapped__()


def _write(folder: Path, content: str) -> Path:
    path = folder / "catalogue.yaml"
    path.write_text(content, encoding="utf-8")
    return path


def _repeated_keys(node: yaml.Node) -> list[str]:
    """The keys that occur twice in a mapping, anywhere in a document."""
    if isinstance(node, yaml.SequenceNode):
        return [key for child in node.value for key in _repeated_keys(child)]
    if not isinstance(node, yaml.MappingNode):
        return []
    counts = Counter(key.value for key, _ in node.value)
    return [
        *(key for key, count in counts.items() if count > 1),
        *(key for _, child in node.value for key in _repeated_keys(child)),
    ]
