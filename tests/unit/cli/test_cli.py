"""The command line says what there is, and what is wrong in one sentence."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import huggingface_hub
import pytest
from PIL import Image

from file_server import ServedFile, running_file_server
from hub_server import Hub, Repository, running_hub, use_hub
from paths import REPOSITORY
from zsad.classification.options import ConformalOptions, ProbabilityOptions
from zsad.classification.registry import CLASSIFIERS
from zsad.cli import downloads, listings, main
from zsad.data import download_dataset as acquire
from zsad.data.catalogue import Archive, DatasetFacts, datasets
from zsad.data.layouts.registry import LAYOUTS
from zsad.deciding.registry import THRESHOLDS
from zsad.features.registry import BACKBONES, model_names
from zsad.models.catalogue import MODELS
from zsad.refinement.registry import MODULATIONS, REFINERS
from zsad.scoring.registry import FUSIONS, SCORERS
from zsad.segmentation import weights
from zsad.segmentation.catalogue import MODELS as SEGMENTATION_MODELS
from zsad.segmentation.registry import SEGMENTERS

SMALL = MODELS["dinov2-small"].hub_id


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with one model and an empty local cache; to the commands, the content of the files is all one."""
    with running_hub() as hub:
        hub.models[SMALL] = Repository({"config.json": b"{}", "model.safetensors": b"weights" * 300})
        use_hub(monkeypatch, hub.endpoint, tmp_path / "cache")
        monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
        yield hub


@pytest.fixture
def sam_vit_b(monkeypatch: pytest.MonkeyPatch) -> Iterator[ServedFile]:
    """A server of the authors' file of `sam-vit-b`, which is small here."""
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    content = b"weights" * 300
    with running_file_server() as server:
        server.files["/sam_vit_b_01ec64.pth"] = ServedFile(content)
        facts = SEGMENTATION_MODELS["sam-vit-b"]._replace(
            url=f"{server.endpoint}/sam_vit_b_01ec64.pth",
            sha256=hashlib.sha256(content).hexdigest(),
            size=len(content),
        )
        models = {**SEGMENTATION_MODELS, "sam-vit-b": facts}
        monkeypatch.setattr(weights, "MODELS", models)
        monkeypatch.setattr(listings, "SEGMENTATION_MODELS", models)
        yield server.files["/sam_vit_b_01ec64.pth"]


def row_of(name: str, shown: str) -> list[str]:
    return next(line.split() for line in shown.splitlines() if line.startswith(f"  {name} "))


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert all(
        command in shown
        for command in (
            "methods",
            "classifiers",
            "backbones",
            "segmenters",
            "datasets",
            "prompts",
            "download",
            "check",
            "demo",
            "inspect",
            "snakemake --cores 8",
        )
    )


def test_every_part_is_listed_with_its_parameters_and_descriptions(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["methods"]) == main(["classifiers"]) == main(["backbones"]) == main(["segmenters"]) == 0
    shown = capsys.readouterr().out
    for registry in (SCORERS, FUSIONS, MODULATIONS, THRESHOLDS, REFINERS, CLASSIFIERS, BACKBONES, SEGMENTERS):
        for name in registry.names():
            part = registry.load(name)
            assert f"{name}: {part.summary}" in shown
            assert f"cannot see: {getattr(part, 'blind_to', '')}" in shown
            for parameter, field in part.model_fields.items():
                assert field.description, f"{name}.{parameter} has no description"
                assert f"{parameter} (" in shown


def test_classifiers_are_listed_with_their_sources_and_the_sections_that_all_share(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["classifiers"]) == 0
    shown = capsys.readouterr().out
    for name in CLASSIFIERS.names():
        assert f"source: {CLASSIFIERS.load(name).reference}" in shown
    for name, section in (("probabilities", ProbabilityOptions), ("conformal", ConformalOptions)):
        told = shown.split(f"\n  {name}: ")[1].split("\n\n")[0]
        for parameter, field in section.model_fields.items():
            assert f"    {parameter} (default {field.default!r}): {field.description}" in told


def test_every_model_is_listed_in_a_line_that_fits_a_terminal(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backbones"]) == 0
    shown = capsys.readouterr().out
    table = shown.split("\n\n")[1].splitlines()
    assert [row.split()[0] for row in table[1:]] == model_names()
    assert {*MODELS} <= {*model_names()}
    assert max(map(len, table)) <= 150
    for row in (
        "dinov3-vitl16 facebook/dinov3-vitl16-pretrain-lvd1689m 303.1 M 1.21 DINOv3 License yes 16 448 head -",
        "clip-vitb16 openai/clip-vit-base-patch16 149.6 M 0.60 MIT - 16 336 own -",
        "clip-vitb16-plus-240 timm/vit_base_patch16_plus_clip_240.laion400m_e31 208.4 M 0.83 MIT - 16 240 own -",
        "dinov2-small facebook/dinov2-small 22.1 M 0.09 Apache-2.0 - 14 448 - -",
    ):
        assert row in [" ".join(line.split()) for line in table]
    assert hub.requests == []


def test_every_segmentation_model_is_listed_in_a_line_that_fits_a_terminal(
    hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["segmenters"]) == 0
    shown = capsys.readouterr().out
    table = shown.split("\n\n")[1].splitlines()
    assert len(table) == 1 + len(SEGMENTATION_MODELS)
    assert max(map(len, table)) <= 140
    for row in (
        "sam-vit-h sam_vit_h_4b8939.pth segment_anything 641.1 M 2.56 Apache-2.0 - 1024 -",
        "sam3 facebook/sam3 transformers 859.9 M 3.44 SAM License yes 1008 -",
    ):
        assert row in [" ".join(line.split()) for line in table]
    assert hub.requests == []


def test_a_file_of_weights_is_downloaded_checked_and_listed_as_cached(
    hub: Hub, sam_vit_b: ServedFile, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "torch" / "hub" / "checkpoints" / "sam_vit_b_01ec64.pth"
    assert main(["download", "sam-vit-b", "dinov2-small"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"sam-vit-b: {path}, SHA-256 {hashlib.sha256(sam_vit_b.content).hexdigest()}"
    assert second.startswith("dinov2-small: ")
    assert path.read_bytes() == sam_vit_b.content
    assert main(["segmenters"]) == 0
    assert row_of("sam-vit-b", capsys.readouterr().out)[-1] == "yes"
    assert sorted(hub.sent_files()) == ["config.json", "model.safetensors"]


def test_a_file_of_weights_with_the_wrong_content_is_not_kept(
    hub: Hub, sam_vit_b: ServedFile, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    sam_vit_b.content = b"strange" * 300
    assert main(["download", "sam-vit-b"]) == 1
    shown, said = capsys.readouterr()
    assert shown == ""
    assert said.startswith("zsad: model 'sam-vit-b' is not the expected file: the SHA-256 of the ")
    assert said.count("\n") == 1
    assert list((tmp_path / "torch").rglob("*.pth*")) == [
        tmp_path / "torch" / "hub" / "checkpoints" / "sam_vit_b_01ec64.pth.lock"
    ]


@pytest.mark.parametrize("name", ["sam2.1-hiera-tiny", "facebook/sam2.1-hiera-tiny"])
def test_a_segmentation_model_of_the_hub_is_downloaded_and_listed_as_cached(
    hub: Hub, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    hub.models["facebook/sam2.1-hiera-tiny"] = hub.models[SMALL]
    assert main(["download", name]) == 0
    assert capsys.readouterr().out.endswith(f", commit {hub.models[SMALL].commit}\n")
    assert main(["segmenters", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    tiny = SEGMENTATION_MODELS["sam2.1-hiera-tiny"]
    assert {**tiny._asdict(), "cached": True} in listed["models"]
    assert [model["name"] for model in listed["models"] if model["cached"]] == [tiny.name]
    assert [family["name"] for family in listed["families"]] == SEGMENTERS.names()


def test_the_listing_for_programs_holds_every_fact(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["download", "dinov2-small"]) == 0
    capsys.readouterr()
    assert main(["backbones", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    facts = MODELS["dinov2-small"]
    small = next(model for model in listed["models"] if model["name"] == facts.name)
    assert small == {**facts._asdict(), "layers": list(facts.layers), "cached": True}
    assert [model["name"] for model in listed["models"] if model["cached"] and "hub_id" in model] == ["dinov2-small"]
    assert [model["name"] for model in listed["models"]] == model_names()
    assert [family["name"] for family in listed["families"]] == BACKBONES.names()
    embedded = listed["families"][BACKBONES.names().index("embedded")]
    assert {"name": "stride", "required": False, "default": 8} in [
        {key: parameter[key] for key in ("name", "required", "default")} for parameter in embedded["parameters"]
    ]


@pytest.mark.parametrize("name", ["dinov2-small", SMALL])
def test_a_downloaded_model_is_listed_as_cached(hub: Hub, capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert main(["backbones"]) == 0
    assert row_of("dinov2-small", capsys.readouterr().out)[-1] == "-"
    assert main(["download", name]) == 0
    commit = hub.models[SMALL].commit
    folder = Path(huggingface_hub.constants.HF_HUB_CACHE) / "models--facebook--dinov2-small" / "snapshots" / commit
    assert capsys.readouterr() == (f"{name}: {folder}, commit {commit}\n", "")
    assert main(["backbones"]) == 0
    assert row_of("dinov2-small", capsys.readouterr().out)[-1] == "yes"


def test_a_download_that_fails_says_so_in_one_sentence(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, expected in (
        (["dinov2-smal"], "did you mean 'dinov2-small'?"),
        (["sam-vit-x"], "names that `zsad backbones` or `zsad segmenters` lists; did you mean 'sam-vit-"),
        (["facebook/sam2-hiera-tin"], "did you mean 'facebook/sam2-hiera-tiny'?"),
        (["sam-vit-b", "--revision", "v9"], "revision 'v9' is set but model 'sam-vit-b' is a file of its authors"),
        (["dinov2-base"], "the hub has no public model 'dinov2-base'"),
        (["dinov2-small", "--revision", "v9"], "model 'dinov2-small' has no revision 'v9'"),
    ):
        assert main(["download", *arguments]) == 1
        shown, said = capsys.readouterr()
        assert shown == ""
        assert said.startswith("zsad: ")
        assert expected in said
        assert said.count("\n") == 1


def test_a_download_with_the_wrong_content_fails(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    hub.models[SMALL].sent_instead["model.safetensors"] = b"strange" * 300
    assert main(["download", "dinov2-small"]) == 1
    shown, said = capsys.readouterr()
    assert shown == ""
    assert said.startswith("zsad: the weights of model 'dinov2-small' are damaged: ")


def test_the_commands_import_neither_framework_nor_client_of_the_hub() -> None:
    program = (
        "import sys\n"
        "import zsad.cli\n"
        "print([name for name in ('torch', 'transformers', 'huggingface_hub') if name in sys.modules])\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


def test_a_configuration_is_checked(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["check", "--configfile", str(REPOSITORY / "config" / "smoke.yaml")]) == 0
    shown = capsys.readouterr().out
    assert "brick, ring" in shown
    assert "segmenters" not in shown
    (tmp_path / "sam.yaml").write_text("refiners: {sam: {refiner: sam}}")
    assert main(["check", "--configfile", str(tmp_path / "sam.yaml")]) == 0
    assert "segmenters sam-vit-b\n" in capsys.readouterr().out
    (tmp_path / "mine.yaml").write_text("methds: {}")
    assert main(["check", "--configfile", str(tmp_path / "mine.yaml")]) == 1
    said = capsys.readouterr().err
    assert said.startswith("zsad: configuration: unknown key 'methds'; did you mean 'methods'?")
    assert said.count("\n") == 1


KINDS = """
dataset: {layout: mvtec, root: %(root)s}
supports: {mine: {folder: %(mine)s}}
classifiers:
  first: {classifier: prototype, shots: [1, 2], calibration: 1}
  second: {classifier: ridge, shots: [1, 2], calibration: 1, conformal: {alpha: 0.5}}
  sorted: {classifier: cache, support: mine, shots: all, calibration: 0, conformal: {sets: cross}}
"""


@pytest.fixture
def kinds(tmp_path: Path, write_png: Callable[..., Path]) -> Path:
    """A configuration of classifiers, for a lid with scratches and dents, and examples of these beside it."""
    places = {"data/lid/train/good": 2, "data/lid/test/good": 4, "data/lid/test/scratch": 5, "data/lid/test/dent": 6}
    for place, count in {**places, "mine/scratch": 3, "mine/dent": 2}.items():
        for index in range(count):
            write_png(tmp_path / place / f"{index}.png", seed=len(place) + index)
    path = tmp_path / "kinds.yaml"
    path.write_text(KINDS % {"root": tmp_path / "data", "mine": tmp_path / "mine"})
    return path


def told_of_kinds(shown: str) -> str:
    """What is said of the examples, in one line."""
    return " ".join(shown.split("\nexamples of defect types\n")[1].split("\n\n")[0].split())


def test_what_classifiers_ask_of_each_kind_is_told_beside_what_there_is(
    capsys: pytest.CaptureFixture[str], kinds: Path
) -> None:
    assert main(["check", "--configfile", str(kinds)]) == 0
    shown = capsys.readouterr().out
    assert "classifier first, second, sorted\n" in shown
    assert told_of_kinds(shown) == (
        "sampled of each kind 1 for calibration, and 1 or 2 for training, with 5 random seeds, from the labelled test "
        "images; for first, second lid 6 dent, 4 good, 5 scratch "
        "remark No prediction set of 'first' can exclude a kind: alpha 0.1 needs 9 calibration images of "
        "the kind to set its thresholds. "
        "sampled of each kind all for training, with 5 random seeds, from the examples of 'mine'; for sorted "
        "lid 2 dent, 3 scratch"
    )


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ("shots: [1, 4]", 1, "problem 'lid' has too few labelled test images for 4 shots"),
        ("shots: [1, 4], scarce: skip", 1, "problem only the kind 'dent' is left to classify in 'lid'"),
        ("shots: [1, 3], scarce: skip", 0, "remark The kind 'good' is not shown: it has 4 labelled images"),
        ("leave_out: [dent]", 0, "remark Left out: dent."),
        ("good: false", 0, "remark Left out: good."),
        ("shots: [1, 2], conformal: {alpha: 0.6}", 0, "lid 6 dent, 4 good, 5 scratch sampled"),
        ("conformal: {thresholds: all, alpha: 0.2}", 0, "alpha 0.2 needs 4 calibration images to set its thresholds."),
        ("conformal: {sets: cross, alpha: 0.5}", 0, "can exclude a kind with 1 training examples: alpha 0.5 needs"),
    ],
)
def test_what_goes_wrong_with_kinds_is_told_before_a_run(
    capsys: pytest.CaptureFixture[str], kinds: Path, changes: str, status: int, said: str
) -> None:
    first = "first: {classifier: prototype, shots: [1, 2], calibration: 1}"
    changed = first.replace("shots: [1, 2], ", "" if "shots" in changes else "shots: [1, 2], ")
    kinds.write_text(kinds.read_text().replace(first, changed.replace("}", f", {changes}}}")))
    assert main(["check", "--configfile", str(kinds)]) == status
    assert said in told_of_kinds(capsys.readouterr().out)


def test_the_kinds_of_the_demo_set_are_told_before_it_is_drawn(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "mine.yaml").write_text(
        "dataset: {name: never_drawn, categories: [ring]}\n"
        "classifiers: {a: {classifier: ridge, shots: 1, calibration: 9}}"
    )
    assert main(["check", "--configfile", str(tmp_path / "mine.yaml")]) == 1
    told = told_of_kinds(capsys.readouterr().out)
    assert "ring 6 chip, 6 dent, 16 good, 6 scratch, 6 stain problem 'ring' has too few labelled test images" in told


def test_kinds_that_masks_alone_tell_are_not_guessed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, write_png: Callable[..., Path]
) -> None:
    for split, number in (("train", 1), ("test", 2), ("test", 3)):
        write_png(tmp_path / "data" / split / f"{number}.png", seed=number)
        Image.new("L", (40, 30), 255 * (number == 3)).save(tmp_path / "data" / split / f"{number}_GT.png")
    (tmp_path / "masks.yaml").write_text(
        f"dataset: {{layout: kolektor_sdd2, root: {tmp_path / 'data'}}}\nclassifiers: {{a: {{classifier: ridge}}}}"
    )
    main(["check", "--configfile", str(tmp_path / "masks.yaml")])
    told = told_of_kinds(capsys.readouterr().out)
    assert told.endswith("kolektor_sdd2 known after the masks are read, which show the defective images")


def test_every_published_data_set_is_listed_with_its_terms_and_the_layouts_with_their_parameters(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["datasets"]) == 0
    shown = capsys.readouterr().out
    assert row_of("mvtec_ad", shown) == [
        *["mvtec_ad", "MVTec", "AD", "15", "3629", "1725", "5.3", "CC", "BY-NC-SA", "4.0"]
    ]
    assert "by hand" in " ".join(row_of("real_iad", shown))
    for name, facts in datasets().items():
        assert f"  {name}: {facts.citation}" in shown
        assert facts.homepage in shown
    for name in LAYOUTS.names():
        for parameter in LAYOUTS.load(name).model_fields:
            assert f"    {parameter} (" in shown
    assert main(["datasets", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [entry["name"] for entry in listed["datasets"]] == list(datasets())
    assert [entry["name"] for entry in listed["layouts"]] == LAYOUTS.names()


def test_a_data_set_is_downloaded_ahead(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    (tmp_path / "tubes" / "test" / "good").mkdir(parents=True)
    Image.new("L", (8, 8)).save(tmp_path / "tubes" / "test" / "good" / "0.png")
    content = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path, "tubes")).read_bytes()
    with running_file_server() as server:
        server.files["/MPDD.zip"] = ServedFile(content)
        archive = Archive(file="MPDD.zip", urls=(f"{server.endpoint}/MPDD.zip",), verified="unverified: a test")
        facts = DatasetFacts(title="M", citation="C", licence="L", homepage="H", categories={}, archives=(archive,))
        for module in (downloads, acquire):
            monkeypatch.setattr(module, "datasets", lambda: {"mpdd": facts})
        assert main(["download", "mpdd", "--to", str(tmp_path / "data")]) == 0
    assert capsys.readouterr() == (f"mpdd: {tmp_path / 'data' / 'mpdd'}\n", "")
    assert (tmp_path / "data" / "mpdd" / "tubes" / "test" / "good" / "0.png").is_file()
    assert json.loads((tmp_path / "data" / "mpdd.json").read_text())["archives"][0]["size"] == len(content)


def test_a_data_set_that_is_not_here_yet_cannot_be_checked(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "visa.yaml").write_text(f"dataset: {{layout: visa, download_to: {tmp_path}}}")
    assert main(["check", "--configfile", str(tmp_path / "visa.yaml")]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"zsad: visa is not in {tmp_path / 'visa'}")
    assert "`zsad download visa`" in said


def test_a_folder_is_checked_without_a_configuration(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, write_png: Callable[..., Path]
) -> None:
    for index in range(3):
        write_png(tmp_path / "lid" / "train" / "good" / f"{index}.png", seed=index)
    path = write_png(tmp_path / "lid" / "test" / "scratch" / "0.png", size=(64, 64), seed=9)
    for folder in (tmp_path, tmp_path / "lid"):
        assert main(["check", str(folder)]) == 0
        shown = capsys.readouterr().out
        assert "lid: 4 images" in shown
        assert "1 defective image without a mask" in shown
        assert "features by" in shown
    path.write_bytes(path.read_bytes()[:-3000])
    assert main(["check", str(tmp_path)]) == 0
    assert main(["check", str(tmp_path), "--full"]) == 1
    assert "cannot be read as an image" in capsys.readouterr().out
    assert main(["check", str(tmp_path / "nowhere")]) == 1
    assert "is neither a folder nor a CSV file" in capsys.readouterr().err


def test_a_closed_pipe_is_no_error() -> None:
    listing = subprocess.Popen(
        [sys.executable, "-m", "zsad.cli", "methods"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    listing.stdout.close()
    said = listing.stderr.read()
    listing.stderr.close()
    assert listing.wait() == 0
    assert said == b""
