"""README.md and the pages of docs/: their blocks and commands, and which test follows a command."""

from __future__ import annotations

import re
from typing import NamedTuple

from paths import REPOSITORY

# Their commands and configurations are followed by the tests of these pages, one after the other.
FOLLOWED_ELSEWHERE = ("docs/tutorials/", "docs/howto/", "docs/faq.md", "docs/sharing.md", "docs/software.md")

COMMANDS = ("snakemake", "zsad", "make", "python", "apptainer", "docker", "bash", "sh", "pip", "conda")
# What is executed is the command itself; `-n` is added to runs, which other tests carry out.
PLANNED = (r"snakemake .*",)
EXECUTED = (
    r"zsad (methods|datasets|backbones|segmenters|classifiers|published|check( --words)? .*|prompts( .*)?)",
    r"zsad download (dinov2-small|sam-vit-b)",
    r"snakemake --unlock",
)
# What no test can execute, or another does; each with the reason.
NOT_EXECUTED = {
    r"make (run|demo-real|test|test-portable|mutants|lint|envs|docs)": "installs packages; .ci/run has most of them",
    r"zsad export( results/demo)?": "needs a finished run: tests/unit/exporting/test_exporting.py has one",
    r"zsad inspect (path/to/photographs|part1\.jpg) ?.*": "tests/workflow/test_inspect_a_folder.py runs it",
    r"zsad inspect (part\.jpg|PHOTO) --part .*": "needs weights: tests/unit/inspecting/test_inspecting_by_words.py",
    r"zsad inspect --help": "what the parser says",
    r"zsad inspect( .* --model .*| --model)?": "needs a model: tests/unit/inspecting/test_inspect_command.py has one",
    r"zsad check path/to/folder": "the same as with a configuration, which is executed",
    r"make config": "writes in the repository: tests/unit/workflow/test_schema.py compares what it would write",
    r"snakemake --report .*": "needs the finished run; tested on the run of the first block",
    r"snakemake .*--configfile mine\.yaml": "test_readme.py runs it",
    r"snakemake .*--configfile config/published/.*": "planned by test_published_workflow.py",
    r"zsad download( NAME)?|zsad check": "a mention, without what it is for",
    r"zsad download (clip-vitb16|resnet18|clip-vitb16-plus-240 clip-vitl14-336)": "tests/unit/models/test_hub_texts.py",
    r"zsad download mvtec_ad": "5 GB: tests/faults/test_bad_input.py downloads a small set by the workflow",
    r"zsad published --results results/NAME": "needs a finished run: test_published_workflow.py has one",
    r"python benchmarks/resources\.py .*": "needs a finished run: tests/workflow/test_resources.py has one",
    r"python benchmarks/submissions\.py .*": "tests/cluster/test_profiles.py runs it",
    r"python benchmarks/real_photographs\.py .*": "needs a finished run: test_real_photographs.py draws one",
    r"python benchmarks/(backbones|decisions|definitions|learned_methods|text)\.py.*": "minutes or hours",
    r"python benchmarks/(features|scoring|evaluation|sam|inspection|overhead)\.py": "measures time, for minutes",
    r"(ssh|scp|tmux|module load|git clone|\$EDITOR|bjobs|bpeek) ?.*": "a cluster's own: nothing of this project",
    r"pip install pillow-heif": "installs a package",
    r'pip install "zsad\[(elpv|textile|efficientnet)\]"': "installs packages; see tests/unit/data/test_packages.py",
    r"(mkdir|export) .*": "a shell's own",
}


class Block(NamedTuple):
    """A fenced block of a page."""

    page: str
    language: str
    text: str

    @property
    def key(self) -> str:
        """Its name in a comment, or its first line."""
        return self.text.splitlines()[0].lstrip("# ").strip()

    @property
    def has_name(self) -> bool:
        """Whether the page calls it by the name of a file."""
        return re.fullmatch(r"\w+\.yaml", self.key) is not None


def pages() -> dict[str, str]:
    """The text of README.md and of all pages of docs/, by path from the repository."""
    paths = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
    return {path.relative_to(REPOSITORY).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def blocks_of(page: str, text: str) -> list[Block]:
    """All fenced blocks of a page, in their order."""
    return [Block(page, *found) for found in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.S | re.M)]


def commands_of(text: str) -> list[str]:
    """Every command of a page, in blocks without a language and in running text, without its comment; each once."""
    blocks = [block.text for block in blocks_of("", text) if block.language == ""]
    lines = [re.split(r"\s{2,}#|\s+# ", line)[0].strip() for block in blocks for line in block.splitlines()]
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.S | re.M))
    inline = [span for span in spans if span.split()[0] in COMMANDS and " " in span]
    return list(dict.fromkeys([line for line in lines if line] + inline))


def kind_of(command: str) -> str:
    """``executed``, ``planned``, the reason why it is neither, or nothing."""
    for pattern, reason in NOT_EXECUTED.items():
        if re.fullmatch(pattern, command):
            return reason
    for name, patterns in (("executed", EXECUTED), ("planned", PLANNED)):
        if any(re.fullmatch(pattern, command) for pattern in patterns):
            return name
    return ""
