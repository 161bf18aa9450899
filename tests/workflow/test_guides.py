"""What the tutorials and guides tell a reader to do is understood: every command, and every block of configuration."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from snakemake.cli import parse_args, parse_config
from snakemake.utils import update_config

from paths import REPOSITORY
from zsad.cli.command import _parser as parser_of_commands
from zsad.data.catalogue import datasets, read_catalogue
from zsad.exporting.registry import FORMATS
from zsad.features.registry import listed
from zsad.segmentation.catalogue import MODELS as SEGMENTERS
from zsad.tables.typeset import latex_source
from zsad.workflow.configfiles import read_configuration
from zsad.workflow.settings import DEFAULT_PATH, Settings

DOCUMENTS = REPOSITORY / "docs"
PAGES = (
    "tutorials/photographs.md",
    "tutorials/researcher.md",
    "howto/result_files.md",
    "howto/add_method.md",
    "howto/add_data_set.md",
    "howto/compare_runs.md",
    "faq.md",
    "sharing.md",
    "software.md",
)
CATALOGUE = "zsad/data/catalogue.yaml"  # a block for that file, and no configuration
ADDED = ("line_camera", "my_method", "mean_reference")  # by the guides; test_adding.py adds them

# What is a shell's, a cluster's, or of other software, which no test here has.
FOREIGN = (
    *("ssh", "scp", "module", "git", "tmux", "bqueues", "bjobs", "bpeek", "scontrol", "$EDITOR", "conda", "docker"),
    *("for", "do", "done", "n=100"),
    *("apptainer", "pip", "mkdir", "chmod", "chgrp", "export", "umask", "cd", "ls", "rm", "du", "tail", "."),
)


class Block(NamedTuple):
    """A fenced block of a page."""

    page: str
    language: str
    text: str

    @property
    def name(self) -> str:
        """The file that its first line names in a comment; empty if it names none."""
        found = re.match(r"# ([\w./-]+\.yaml)\n", self.text)
        return found[1] if found else ""


def read_blocks(page: str) -> list[Block]:
    text = (DOCUMENTS / page).read_text(encoding="utf-8")
    return [Block(page, *found) for found in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.S | re.M)]


BLOCKS = [block for page in PAGES for block in read_blocks(page)]
CONFIGURATIONS = [block for block in BLOCKS if block.language == "yaml" and block.name != CATALOGUE]


def read_commands() -> Iterator[tuple[str, str]]:
    """Page and command; what is in a chain or loop counts by itself."""
    for block in BLOCKS:
        for line in block.text.splitlines() if block.language == "" else ():
            command = re.split(r"\s{2,}#|\s+# ", line)[0].strip()
            for part in filter(None, re.split(r"\s+&&\s+|;\s+", command)):
                yield block.page, part


COMMANDS = list(dict.fromkeys(read_commands()))


def commands_of(program: str) -> list[Any]:
    """As parameters of a test."""
    asked = [(page, command) for page, command in COMMANDS if command.split()[0] == program]
    return [pytest.param(page, command, id=f"{Path(page).stem}: {command}"[:90]) for page, command in asked]


def test_every_block_is_of_a_language_that_is_looked_at() -> None:
    assert {block.language for block in BLOCKS} == {"", "yaml", "python", "latex", "text"}
    assert all(block.name for block in BLOCKS if block.language == "yaml"), "name the file of each in its first line"


def test_every_command_is_of_a_program_that_a_test_knows() -> None:
    programs = {"snakemake", "zsad", "make", "python", *FOREIGN}
    assert [command for _, command in COMMANDS if command.split()[0] not in programs] == []
    makefile = (REPOSITORY / "Makefile").read_text()
    for _, command in COMMANDS:
        program, *words = command.split()
        if program == "make":
            assert f"\n{words[0].replace('.venv', '$(VENV)')}:" in makefile, command
        if program == "python":
            assert (REPOSITORY / words[0]).is_file(), command


@pytest.mark.parametrize(("page", "command"), commands_of("zsad"))
def test_a_command_of_zsad_is_understood(page: str, command: str) -> None:
    options = parser_of_commands().parse_args(shlex.split(command)[1:])
    for name in [*getattr(options, "configfile", [])]:
        assert is_known(page, str(name)), name
    for name in getattr(options, "names", []):  # of downloads
        assert name in {*datasets(), *SEGMENTERS, *ADDED} or listed(name) is not None, name
    for name in getattr(options, "formats", None) or []:
        assert name in FORMATS.names(), name


def is_known(page: str, name: str) -> bool:
    """Whether a file of configuration is in the repository, or a block of the page."""
    return (REPOSITORY / name).is_file() or any((block.page, block.name) == (page, name) for block in BLOCKS)


@pytest.mark.parametrize(("page", "command"), commands_of("snakemake"))
def test_a_command_of_snakemake_is_understood_and_its_configuration_is_valid(
    page: str, command: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = shlex.split(command)[1:]
    if "--workflow-profile" in words:
        place = words.index("--workflow-profile") + 1
        words[place] = str(REPOSITORY / words[place])
    _, options = parse_args([*words, "--snakefile", str(REPOSITORY / "Snakefile")])
    names = [str(name) for name in options.configfile or []]
    assert all(is_known(page, name) for name in names), names
    own = {block.name: block.text for block in CONFIGURATIONS if block.page == page}
    contents = [yaml.safe_load(own[name]) if name in own else read_configuration(REPOSITORY / name) for name in names]
    check_configuration(*contents, parse_config(options.config or []))
    targets = set(re.findall(r"^rule (\w+):", rules_text(), re.M))
    assert {*options.targets} <= targets


def rules_text() -> str:
    return "".join(path.read_text() for path in (REPOSITORY / "Snakefile", *(REPOSITORY / "rules").glob("*.smk")))


@pytest.mark.parametrize("block", CONFIGURATIONS, ids=lambda block: f"{Path(block.page).stem}: {block.name}")
def test_a_block_of_configuration_is_valid_and_is_used_by_a_command(block: Block, folder: Path) -> None:
    check_configuration(yaml.safe_load(block.text))
    using = [command for page, command in COMMANDS if page == block.page and block.name in command.split()]
    assert using or "/" in block.name, "give the command that uses it"  # what an inspection writes says its command


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_png: Callable[..., Path]) -> Path:
    """A folder with the photographs that configurations speak of, to work in."""
    for place in ("path/to/photographs", "photographs", "drawn/brick/train/good"):
        for number in range(2):
            write_png(tmp_path / place / f"{number}.png", seed=number)
    table = "path,category,split,label\n0.png,photographs,test,good\n1.png,photographs,test,defective\n"
    (tmp_path / "photographs/photographs_photographs_marks.csv").write_text(table)
    (tmp_path / "shared").mkdir()
    monkeypatch.setenv("ZSAD_SHARED", str(tmp_path / "shared"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check_configuration(*contents: Mapping[str, Any]) -> None:
    """Merge into the default, and raise what a run would; but for what the guides themselves add."""
    merged: dict[str, Any] = {}
    for content in (read_configuration(DEFAULT_PATH), *contents):
        update_config(merged, dict(content))
    if merged["dataset"]["layout"] in ADDED:
        merged["dataset"] |= {"layout": "mvtec_ad", "root": None}
    merged["methods"] = {name: entry for name, entry in merged["methods"].items() if name not in ADDED}
    Settings(merged)


def test_the_entry_of_the_catalogue_is_valid(tmp_path: Path) -> None:
    (block,) = [block for block in BLOCKS if block.name == CATALOGUE]
    (tmp_path / "catalogue.yaml").write_text(block.text)
    (facts,) = read_catalogue(tmp_path / "catalogue.yaml").values()
    assert not facts.is_by_hand
    assert facts.categories["lid"].test == 80


def test_the_document_in_latex_has_what_the_tables_need() -> None:
    (block,) = [block for block in BLOCKS if block.language == "latex"]
    needed = re.search(r"\\usepackage\{[\w,]+\}", latex_source([], []))[0]
    assert needed in block.text
