"""README and the pages of docs/: their links, paths, configurations and navigation are right; nothing is run."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from auxiliary_sets import made_up_category, write_weights
from documents import FOLLOWED_ELSEWHERE, Block, blocks_of, pages
from paths import REPOSITORY
from published_trees import write_mvtec
from zsad.refinement.modulation import Modulation
from zsad.scoring.fusion import Fusion
from zsad.scoring.registry import SCORERS
from zsad.scoring.visual_prompts import VisualPrompts
from zsad.workflow import settings

PAGES = pages()
FENCE = re.compile(r"^```.*?^```$", re.S | re.M)
SPAN = re.compile(r"`[^`]+`")
FOLDERS = ("zsad", "tests", "config", "benchmarks", "examples", "docs", "profiles", "envs", "rules", "workflow_scripts")
ADDED_BY_THE_READER = {
    "zsad/scoring/my_method.py",
    "zsad/scoring/mean_reference.py",
    "zsad/features/my_backbone.py",
    "zsad/data/layouts/line_camera.py",
}


def test_the_readme_is_short() -> None:
    assert len(PAGES["README.md"].splitlines()) <= 200


# --- links ---


def links_of(text: str) -> list[str]:
    """Where a page's links and pictures lead, outside of code."""
    return re.findall(r"\]\(([^)\s]+)\)", SPAN.sub("`code`", FENCE.sub("", text)))


def anchors_of(text: str) -> set[str]:
    """The anchors of a page's headings, those that the site and a forge both give it."""
    anchors = set()
    for heading in re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.M):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading.replace("`", ""))
        ascii_only = unicodedata.normalize("NFKD", plain).encode("ascii", "ignore").decode()
        site = re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", ascii_only).strip().lower())
        forge = re.sub(r"[^\w -]", "", plain.strip().lower()).replace(" ", "-")
        if site == forge:
            anchors.add(site)
    return anchors


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_file_and_a_heading(page: str) -> None:
    folder = (REPOSITORY / page).parent
    for link in links_of(PAGES[page]):
        if re.match(r"https?://", link):
            continue
        path, _, anchor = link.partition("#")
        place = (folder / path).resolve() if path else REPOSITORY / page
        assert place.is_file(), f"{page}: {link}"
        name = place.relative_to(REPOSITORY.resolve()).as_posix() if path else page
        if page != "README.md":
            assert name.startswith("docs/"), f"{page}: {link} leads out of the site"
        if anchor:
            assert anchor in anchors_of(PAGES[name]), f"{page}: {link}"


def test_anchors_and_links_are_told_from_code() -> None:
    text = "# A `b`, and *c*\n[x](y.md#z) `[no](n.md)`\n```\n[no](n.md)\n# no\n```\n## Übung & more\n## The rules\n"
    assert links_of(text) == ["y.md#z"]
    assert anchors_of(text) == {"a-b-and-c", "the-rules"}  # a forge gives the other heading another anchor


@pytest.mark.parametrize("page", PAGES)
def test_every_path_of_the_repository_that_is_named_is_there(page: str) -> None:
    for span in SPAN.findall(FENCE.sub("", PAGES[page])):
        for path in re.findall(rf"(?<![\w./-])(?:{'|'.join(FOLDERS)})/[\w/.-]+\.\w+", span):
            assert (REPOSITORY / path).exists() or path in ADDED_BY_THE_READER, f"{page}: {path}"
    for path in re.findall(r"\bpython (benchmarks/\S+\.py)", PAGES[page]):
        assert (REPOSITORY / path).is_file(), f"{page}: {path}"


# --- the site ---


def leaves(navigation: Any) -> Iterator[str]:
    """The paths of a navigation."""
    if isinstance(navigation, str):
        yield navigation
    else:
        for each in navigation.values() if isinstance(navigation, dict) else navigation:
            yield from leaves(each)


def test_the_navigation_has_every_page_once() -> None:
    navigation = yaml.safe_load((REPOSITORY / "mkdocs.yml").read_text())["nav"]
    assert sorted(f"docs/{path}" for path in leaves(navigation)) == sorted(set(PAGES) - {"README.md"})


def test_every_public_name_is_in_the_reference() -> None:
    import zsad

    shown = "".join(text for page, text in PAGES.items() if page.startswith("docs/reference/"))
    for name in zsad.__all__:
        assert re.search(rf"^::: zsad\.{name}$", shown, re.M), name
    for name in zsad.metrics.__all__:
        assert re.search(rf"^ +- {name}$", shown, re.M), name


def test_the_page_of_methods_says_what_zsad_methods_says() -> None:
    described = re.findall(
        r"^\| `(\w+)` \| (.+) \|$", PAGES["docs/methods.md"].split("| method | cannot detect |")[1], re.M
    )
    classes = {name: SCORERS.load(name) for name in SCORERS.names()} | {"fusion": Fusion, "modulation": Modulation}
    assert dict(described[: len(classes)]) == {name: method.blind_to for name, method in classes.items()}


# --- configurations ---

# What a block without a name leaves to the reader, by what stands in it.
AROUND: dict[str, dict[str, Any]] = {
    "pcb1": {"dataset": {"layout": "visa"}},
    "trained_on": {"dataset": {"layout": "mvtec_ad"}},
    "published:": {"dataset": {"layout": "mvtec_ad"}, "methods": {"mutual": {"backbone": "musc"}}},
}
MODEL = {"model": "clip-vitl14-336", "resolution": 518}
BACKBONES = {
    "clip": {"family": "image_text", "params": {"model": "clip-vitb16-plus-240", "path": "windows"}},
    "clip_values": {"family": "image_text", "params": {**MODEL, "path": "values"}},
    "musc": {"family": "transformers", "params": MODEL},
}
UNNAMED = [
    block
    for page, text in PAGES.items()
    for block in blocks_of(page, text)
    if block.language == "yaml" and not block.has_name and not page.startswith(FOLLOWED_ELSEWHERE)
]


@pytest.mark.parametrize("block", UNNAMED, ids=lambda block: f"{Path(block.page).stem}: {block.key}")
def test_a_configuration_without_a_name_is_accepted(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those with the name of a file are run or planned by tests/workflow/test_readme.py."""
    monkeypatch.chdir(tmp_path)
    write_mvtec(tmp_path / "parts", ["hinge", "bolt", "clip", "plate"])
    write_mvtec(tmp_path / "path/to/the/folder/of/magnetic_tile", ["magnetic_tile"])
    write_weights(
        tmp_path / "path/to/visual_prompts.safetensors", VisualPrompts(epochs=1), [made_up_category("lid", 0)]
    )
    files = [{"backbones": BACKBONES}, *(added for word, added in AROUND.items() if word in block.text)]
    paths = [Path(f"{number}.yaml") for number in range(len(files) + 1)]
    for path, content in zip(paths, [*map(yaml.safe_dump, files), block.text], strict=True):
        path.write_text(content)
    accepted = settings.load(*paths)
    given = yaml.safe_load(block.text)
    assert set(given.get("methods") or accepted.methods) <= {
        called for entry in accepted.methods.values() for called in (entry.name, entry.group)
    } | set(accepted.left_out)
