"""``~`` in a path means the same to everybody who reads the configuration, and ``$`` is nobody's riddle."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic.fields import FieldInfo

from harness import merged
from zsad.cli import main
from zsad.data.demo.plan import CATEGORIES, DemoOptions
from zsad.data.layouts.registry import LAYOUTS
from zsad.deciding.registry import THRESHOLDS
from zsad.errors import ConfigError
from zsad.evaluation.options import EvaluationOptions
from zsad.features.execution import ExtractionOptions
from zsad.features.registry import BACKBONES
from zsad.files.user_paths import expanded
from zsad.refinement.registry import MODULATIONS, REFINERS
from zsad.registry import Options
from zsad.reporting.options import ReportOptions
from zsad.scoring.compute import ScoringOptions
from zsad.scoring.image_level import ImageScoring
from zsad.scoring.registry import FUSIONS, SCORERS
from zsad.segmentation.foreground import ForegroundOptions
from zsad.segmentation.registry import SEGMENTERS
from zsad.sharing.options import Sharing, SharingOptions
from zsad.workflow.settings import DEFAULT_PATH, Settings
from zsad.workflow.written_config import SCHEMA_PATH

DEFAULT: dict[str, Any] = yaml.safe_load(DEFAULT_PATH.read_text())
REGISTRIES = (BACKBONES, SEGMENTERS, SCORERS, FUSIONS, MODULATIONS, REFINERS, THRESHOLDS, LAYOUTS)
SECTIONS = (
    DemoOptions,
    EvaluationOptions,
    ExtractionOptions,
    ForegroundOptions,
    ImageScoring,
    ReportOptions,
    ScoringOptions,
    SharingOptions,
)
PATH_WORDS = re.compile(r"\b(folder|file|path|table)\b")
NAMES_ONLY = ("name of the folders of ",)  # how the description of a folder's name, not of its place, begins


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def settings(**changes: Any) -> Settings:
    return Settings(merged(DEFAULT, **changes))


def parts() -> Iterator[type[Options]]:
    yield from SECTIONS
    for registry in REGISTRIES:
        yield from map(registry.load, registry.names())


def is_path(field: FieldInfo) -> bool:
    return any(getattr(constraint, "func", None) is expanded for constraint in _metadata(field))


def _metadata(field: FieldInfo) -> Iterator[Any]:
    yield from field.metadata
    for kind in getattr(field.annotation, "__args__", ()):
        yield from getattr(kind, "__metadata__", ())


def test_every_parameter_that_may_be_a_path_is_expanded() -> None:
    spoken_of = {
        (part.__name__, name): field
        for part in parts()
        for name, field in part.model_fields.items()
        if PATH_WORDS.search(field.description or "")
        and not (field.description or "").startswith(NAMES_ONLY)
        and "str" in str(field.annotation)
        and "tuple" not in str(field.annotation)
        and name != "sha256"
    }
    assert [place for place, field in spoken_of.items() if not is_path(field)] == []
    assert {name for _, name in spoken_of} == {
        "model",
        "references",
        "table",
        "root",
        "text_prompts",
        "linear_layers",
        "head",
        "tokenizer",
    }


def test_every_key_of_the_configuration_that_may_be_a_path_is_expanded() -> None:
    schema = yaml.safe_load(SCHEMA_PATH.read_text())
    comments = {
        match[1]: match[2]
        for match in re.finditer(r"^ *(\w+): .*?# (.*)$", DEFAULT_PATH.read_text(), re.MULTILINE)
        if re.search(r"\b(folder|a file|path|where the images|are downloaded to)\b", match[2])
    }
    keys = dict(_strings(schema, schema["$defs"]))
    known = {name for place, subschema in keys.items() if subschema.get("format") == "path" for name in [place[-1]]}
    assert {name for name in comments if any(place[-1] == name for place in keys)} - {"name", "layout"} <= known
    assert known == {"root", "download_to", "container", "backbone", "segmenter", "folder", "table"}


def _strings(
    schema: Mapping[str, Any], known: Mapping[str, Any], place: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """All keys of a schema that may be text; ``known`` is what it refers to by name."""
    if "$ref" in schema:
        schema = known[schema["$ref"].rsplit("/", 1)[-1]]
    for key, inner in schema.get("properties", {}).items():
        yield from _strings(inner, known, (*place, key))
    for inner in (*schema.get("patternProperties", {}).values(), *schema.get("anyOf", ()), *schema.get("oneOf", ())):
        yield from _strings(inner, known, place)
    if schema.get("type") == "string" and not {"enum", "const"} & {*schema}:
        yield place, schema


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("~", "{home}"),
        ("~/photos", "{home}/photos"),
        ("~//photos/", "{home}/photos"),
        ("~/{a}/<b>", "{home}/{{a}}/<b>"),
        ("photos/~", "photos/~"),
        ("./~/photos", "./~/photos"),
        ("a~b", "a~b"),
        ("../photos", "../photos"),
        ("s3://bucket/$x", "s3://bucket/$x"),
        ("docker://~me/zsad", "docker://~me/zsad"),
        ("facebook/dinov2-small", "facebook/dinov2-small"),
        ("costs $", "costs $"),
        ("", ""),
    ],
)
def test_only_a_home_folder_at_the_beginning_is_written_out(home: Path, path: str, meant: str) -> None:
    assert expanded(path) == (meant.format(home=home) if path.startswith("~") else meant)
    assert expanded(expanded(path)) == expanded(path)


def test_the_home_folder_of_another_user_is_written_out() -> None:
    import pwd

    user = pwd.getpwuid(0)
    assert expanded(f"~{user.pw_name}/photos") == f"{user.pw_dir}/photos"


@pytest.mark.parametrize("path", ["~nobody-here/photos", "~nobody-here", "$PHOTOS/a", "a/${PHOTOS}/b", "~/$PHOTOS"])
def test_what_cannot_be_written_out_is_refused_unless_something_is_called_so(home: Path, path: str) -> None:
    with pytest.raises(ValueError, match=r"write the full path"):
        expanded(path)
    if not path.startswith("~/"):
        Path(path).mkdir(parents=True)
        assert expanded(path) == path


def test_a_model_in_the_home_folder_is_known_by_its_files(home: Path) -> None:
    for folder in ("models/x", "models/{y}"):
        (home / folder).mkdir(parents=True)
        (home / folder / "model.safetensors").write_bytes(b"weights")
    weights = home / "weights.pth"
    weights.write_bytes(b"weights")
    own = {"family": "transformers", "params": {"model": "~/models/x", "resolution": 28}}
    asked = settings(
        backbones={"own": own, "embedded": DEFAULT["backbones"]["embedded"]},
        methods__mutual__backbone="own",
        methods__memory_bank__backbone="~/models/{y}",
        refiners__sam={"refiner": "sam", "segmenter": "~/weights.pth"},
    )
    assert asked.backbones["own"].params["model"] == f"{home}/models/x"
    assert asked.backbones["own"].local_files() == [f"{home}/models/x/model.safetensors"]
    assert asked.backbones["y"].local_files() == [f"{home}/models/{{y}}/model.safetensors"]
    assert asked.segmenters["weights-pth"].local_files() == [str(weights)]


def test_every_place_of_the_configuration_means_the_same_home(home: Path) -> None:
    for folder in ("photos", "good", "shared"):
        (home / folder).mkdir()
    (home / "photos/a.png").touch()
    (home / "good/b.png").touch()
    asked = settings(
        dataset={
            **DEFAULT["dataset"],
            "layout": "folder",
            "root": "~/photos",
            "params": {"references": "~/good"},
            "download_to": "~/data",
        },
        container="~/zsad.sif",
        sharing__root="~/shared",
    )
    assert asked.data.stage_config()["root"] == f"{home}/photos"
    assert asked.data.stage_config()["params"]["references"] == f"{home}/good"
    assert asked.data.files("photos") == [home / "good/b.png", home / "photos/a.png"]
    assert asked.data.download_to == home / "data"
    assert asked.config["container"] == f"{home}/zsad.sif"
    assert asked.sharing.root == home / "shared"
    assert "~" not in str(asked.resolved())


def test_the_shared_folder_of_the_environment_may_be_in_the_home_folder(home: Path) -> None:
    (home / "shared").mkdir()
    assert Sharing(SharingOptions(), {"ZSAD_SHARED": "~/shared"}).root == home / "shared"
    with pytest.raises(ConfigError, match=r"ZSAD_SHARED: root = '~nobody-here' is not valid: user 'nobody-here' has"):
        Sharing(SharingOptions(), {"ZSAD_SHARED": "~nobody-here"})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backbone": "~nobody-here/x"}, r"backbone = '~nobody-here/x' is not valid: user 'nobody-here' has no home"),
        (
            {"segmenter": "$MODELS/sam.pth"},
            r"segmenter = '\$MODELS/sam\.pth' is not valid: it does not exist, and variables",
        ),
        (
            {"methods__mutual__backbone": "$M/x"},
            r"methods\.mutual: backbone = '\$M/x' is not valid: it does not exist, and",
        ),
        (
            {"sharing__root": "${GROUP}"},
            r"sharing: root = '\$\{GROUP\}' is not valid: it does not exist, and variables such as",
        ),
        (
            {"container": "~nobody-here/zsad.sif"},
            r"container = '~nobody-here/zsad\.sif' is not valid: user 'nobody-here' has no",
        ),
        (
            {"backbones__own": {"family": "transformers", "params": {"model": "$M"}}, "backbone": "own"},
            r"backbones\.own\.params: model = '\$M' is not valid: it does not exist, and variables such as \$M are",
        ),
    ],
)
def test_a_path_that_cannot_be_written_out_is_one_sentence_that_names_its_key(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        settings(**changes)


def test_the_commands_take_what_a_shell_has_left(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    few = {"train": 2, "good": 1, "defective": 1}
    monkeypatch.setattr(DemoOptions, "build", lambda params, where: DemoOptions(**params, **few))
    assert main(["demo", "--size=64", "~/demo"]) == 0
    for category in CATEGORIES:
        assert len(list((home / "demo" / category / "train/good").glob("*.png"))) == 2
    with pytest.raises(SystemExit, match="2"):
        main(["check", "--configfile=$X.yaml"])
    assert "'$X.yaml': it does not exist, and variables such as $X are not replaced" in capsys.readouterr().err
