"""What the README and the pages of docs/ show works as written: every block and every command, on small data."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import transformers
import yaml
from PIL import Image

from documents import FOLLOWED_ELSEWHERE, NOT_EXECUTED, blocks_of, commands_of, kind_of, pages
from harness import SMALL, Project, merged
from hub_server import Repository, running_hub
from paths import REPOSITORY
from tiny_sam import write_segment_anything
from warm import warm_python
from zsad.files.provenance import file_sha256
from zsad.files.scores import ScoreReader
from zsad.segmentation.catalogue import MODELS as SEGMENTERS

PHOTOGRAPHS = "path/to/the/photographs"
FOLDER = "path/to/folder"
KINDS = "path/to/kinds"

PAGES = {page: text for page, text in pages().items() if not page.startswith(FOLLOWED_ELSEWHERE)}
BLOCKS = [block for page, text in PAGES.items() for block in blocks_of(page, text)]
YAML = {block.key: block.text for block in BLOCKS if block.language == "yaml"}
# Their names are those of files; tests/unit/project/test_documents.py checks the blocks without a name.
FILES = {"mine", "more", "words", "welding", "learn", "kinds", "sam", "host"}
COMMANDS = list(dict.fromkeys(command for text in PAGES.values() for command in commands_of(text)))


def draw(folder: Path, count: int, *, seed: int = 0) -> None:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for number in range(count):
        Image.fromarray(rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)).save(folder / f"{number}.png")


class Shell:
    """A shell in a copy of the project, as a user's is after ``. .venv/bin/activate``."""

    def __init__(self, project: Project, home: Path) -> None:
        self.folder, self.home = project.folder, home
        binaries = home / "bin"
        binaries.mkdir(parents=True)
        for name, module in (("snakemake", "snakemake"), ("zsad", "zsad")):
            script = binaries / name
            script.write_text(f'#!/bin/sh\nexec "{warm_python()}" -m {module} "$@"\n')
            script.chmod(0o755)
        self.environment = {
            **os.environ,
            "PATH": f"{binaries}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(project.folder),
            "HF_HOME": str(home / "huggingface"),
            "TORCH_HOME": str(home / "torch"),
            "HF_HUB_OFFLINE": "1",
        }

    def run(self, command: str, **environment: str) -> str:
        """What a command prints; it must succeed."""
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=self.folder,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=500,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A project with the folders of the pages, their files of configuration, and small ones beside them.

    Its default network sees small squares: `test_trained_network.py` looks at what comes of one.
    """
    home = tmp_path_factory.mktemp("readme")
    project = Project.copy_of_repository(home / "project")
    default = project.folder / "config.yaml"
    text, network = default.read_text(), "  efficientnet-lite0: {family: efficientnet_lite, params: {resolution: 64}}\n"
    assert text.count("\nbackbones:") == text.count("\n  embedded:") == 1
    default.write_text(text.replace("\n  embedded:", f"\n{network}  embedded:"))
    draw(project.folder / PHOTOGRAPHS, 3)
    draw(project.folder / FOLDER / "more", 2)
    for seed, kind_of_defect in enumerate(("good", "scratch"), 1):
        draw(project.folder / KINDS / kind_of_defect, 2, seed=seed)
    for name in FILES:
        (project.folder / f"{name}.yaml").write_text(YAML[f"{name}.yaml"])
    (project.folder / "model.yaml").write_text(YAML["backbone: mine"])
    small = merged(
        SMALL,
        dataset__demo={"size": 64, "train": 8, "good": 2, "defective": 2},
        methods__mirror_symmetry=None,
        methods__mutual={"scorer": "mutual"},
        methods__memory_bank={"scorer": "memory_bank"},
        refiners={"guided": None, "grabcut": None},
        report={"refiner": "none"},
    )
    (project.folder / "small.yaml").write_text(yaml.safe_dump(small))
    weights = home / "torch/hub/checkpoints" / SEGMENTERS["sam-vit-b"].place
    weights.parent.mkdir(parents=True)
    write_segment_anything(weights)
    catalogue = project.folder / "zsad/segmentation/catalogue.py"  # which knows the right file by its checksum
    text = catalogue.read_text()
    published = SEGMENTERS["sam-vit-b"]
    catalogue.write_text(text.replace(published.sha256, file_sha256(weights)))
    return Shell(project, home)


def test_every_block_is_known() -> None:
    assert {block.language for block in BLOCKS} == {"", "yaml", "python", "snakemake", "text"}
    named = [block for block in BLOCKS if block.language == "yaml" and block.has_name]
    assert {block.key for block in named} == {f"{name}.yaml" for name in FILES}, "give a new block a test here"
    for block in named:
        assert block.text == YAML[block.key], f"{block.page} and another page differ in {block.key}"
    python = {block.page for block in BLOCKS if block.language == "python"}
    assert python == {"README.md", "docs/api.md", "docs/backbones.md"}, "test_api_docs.py and test_own_backbone.py"
    snakefiles = [block.page for block in BLOCKS if block.language == "snakemake"]
    assert snakefiles == ["docs/another_workflow.md"], "test_host.py"


def test_every_command_is_executed_or_stands_among_the_exceptions() -> None:
    unknown = [command for command in COMMANDS if not kind_of(command)]
    assert not unknown, "give each a place in EXECUTED, PLANNED or NOT_EXECUTED"
    stale = [pattern for pattern in NOT_EXECUTED if not any(re.fullmatch(pattern, line) for line in COMMANDS)]
    assert not stale, "no command of the pages is like these"
    makefile = (REPOSITORY / "Makefile").read_text()
    for target in {command.split()[1] for command in COMMANDS if command.startswith("make ")}:
        assert f"\n{target}:" in makefile
    assert "make test" in (REPOSITORY / ".ci/run").read_text()


@pytest.mark.slow
def test_two_lines_make_a_page_a_ranked_list_and_masks(shell: Shell) -> None:
    said = shell.run("zsad check --configfile mine.yaml")
    sentence = "it needs 8 normal training images, but category 'photographs' has none; set dataset.params.references"
    assert f"left out   memory_bank: {sentence}" in said
    said = shell.run("snakemake --cores 2 --configfile mine.yaml")
    assert f"method 'memory_bank' is left out: {sentence}" in said
    results = shell.folder / "results/folder"
    page = (results / "report.html").read_text()
    assert re.search(r"<code>memory_bank</code> is left out: it needs 8 normal training images", page)
    ranked = (results / "tables/images.csv").read_text().splitlines()
    assert len(ranked) == 1 + 4 * 3
    assert len(list((results / "photographs/masks").iterdir())) == 4 * 2
    (same,) = [command for command in COMMANDS if PHOTOGRAPHS in command and KINDS not in command]
    assert "Nothing to be done" in shell.run(f"{same} -n")
    (report,) = [command for command in COMMANDS if "--report" in command]
    shell.run(f"{report} --configfile mine.yaml")
    assert (shell.folder / "run.html").stat().st_size > 100_000


@pytest.mark.slow
def test_options_of_methods_run(shell: Shell) -> None:
    shell.run("snakemake --cores 2 scores --configfile small.yaml more.yaml")
    scores = shell.folder / "results/t/ring/scores"
    names = {f"memory_bank-seed{seed}" for seed in (0, 1, 2)}
    assert {path.stem for path in scores.iterdir()} == {"self_similarity", "mutual", "ensemble", *names}
    with ScoreReader(scores / "memory_bank-seed1.h5") as reader:
        assert reader.provenance["number_format"] == "float32"
    planned = shell.run("snakemake -n --cores 2 classes --configfile small.yaml kinds.yaml")
    assert re.search(r"classify_images +1\n", planned), planned
    planned = shell.run("snakemake -n --cores 2 scores --configfile small.yaml words.yaml")
    assert re.search(r"encode_texts +1\n", planned), planned
    planned = shell.run("snakemake -n --cores 2 scores --configfile small.yaml learn.yaml")
    assert re.search(r"train_method +1\n", planned), planned
    assert re.search(r"fit_method +4\n", planned), planned


@pytest.mark.slow
def test_a_model_and_what_it_offers_run(shell: Shell) -> None:
    """With a model of as many blocks and of random weights in the cache, in place of the published one."""
    asked = yaml.safe_load(YAML["backbone: mine"])["backbones"]["mine"]["params"]
    settings = {"num_hidden_layers": 24, "hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 1}
    network = transformers.DINOv3ViTModel(transformers.DINOv3ViTConfig(patch_size=16, **settings))
    folder = shell.home / "huggingface/hub/models--facebook--dinov3-vitl16-pretrain-lvd1689m"
    commit = "0123456789abcdef0123456789abcdef01234567"
    transformers.utils.logging.disable_progress_bar()
    network.save_pretrained(folder / "snapshots" / commit)
    (folder / "refs").mkdir()
    (folder / "refs/main").write_text(commit)
    shell.run("snakemake --cores 2 results/t/ring/features/mine/test.original.h5 --configfile small.yaml model.yaml")
    done = shell.run(
        "python -c 'from zsad.files.features import FeatureReader; from pathlib import Path; "
        'reader = FeatureReader(Path("results/t/ring/features/mine/test.original.h5")); '
        "print(reader.layers, reader.grid_sizes[0].tolist())'"
    )
    side = asked["resolution"] // 16
    assert str([side, side]) in done
    assert all(str(layer) in done for layer in asked["layers"])


@pytest.mark.slow
def test_segment_anything_runs(shell: Shell) -> None:
    """With tiny random weights in the authors' format, which the copy's catalogue takes for the published file.

    What else the block asks for is planned; `test_segment_anything.py` runs all of it.
    """
    scores = "results/t/ring/scores"
    shell.run(f"snakemake --cores 2 {scores}/mutual_sam.h5 --configfile small.yaml sam.yaml")
    with ScoreReader(shell.folder / scores / "mutual_sam.h5") as reader:
        assert len(reader) == 4
    planned = shell.run("snakemake -n --cores 2 scores --configfile small.yaml sam.yaml")
    assert re.search(r"score_images +2\n", planned), planned  # self_similarity, and memory_bank with the part


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a hub with a small model in place of DINOv2."""
    folder = tmp_path_factory.mktemp("model")
    config = transformers.Dinov2Config(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, image_size=28)
    transformers.Dinov2Model(config).save_pretrained(folder)
    with running_hub() as server:
        server.models["facebook/dinov2-small"] = Repository.of_folder(folder)
        yield server.endpoint


@pytest.mark.slow
@pytest.mark.parametrize("command", [command for command in COMMANDS if kind_of(command) == "executed"])
def test_a_command_is_executed(shell: Shell, hub: str, command: str) -> None:
    shell.run(command, HF_ENDPOINT=hub, HF_HUB_OFFLINE="0")


TARGET = re.compile(r"(snakemake --cores 8) (\w+)")  # which are planned together


def runs() -> list[str]:
    """The planned commands, each once, and one for all targets of the default configuration."""
    planned = [command.removesuffix(" -n") for command in COMMANDS if kind_of(command) == "planned"]
    targets = [found for command in planned if (found := TARGET.fullmatch(command))]
    together = " ".join([targets[0][1], *(found[2] for found in targets)])
    return [f"{command} -n" for command in dict.fromkeys([together, *planned]) if not TARGET.fullmatch(command)]


@pytest.mark.slow
@pytest.mark.parametrize("command", runs())
def test_a_run_is_planned(shell: Shell, command: str) -> None:
    if "config/mvtec_ad.yaml" in command:
        for place in ("train/good", "test/good"):
            draw_once(shell.folder / "data/mvtec_ad/bottle" / place)
    said = shell.run(command)
    assert "This was a dry-run" in said or "Nothing to be done" in said


def draw_once(folder: Path) -> None:
    if not folder.exists():
        draw(folder, 1)
