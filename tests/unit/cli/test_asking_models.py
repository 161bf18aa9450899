"""Models of methods that are asked in words: made with texts, and asked without."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import zsad
from texts_asked import LEARNED
from tiny_texts import write_tiny_clip
from worded_backbone import Worded
from zsad.cli import main
from zsad.errors import ArrayError
from zsad.features.registry import BACKBONES
from zsad.files.csv_files import read_table
from zsad.scoring.registry import SCORERS

RANDOM = np.random.default_rng(0)
DARK = RANDOM.integers(0, 60, (4, 30, 40, 3), np.uint8)
SPOT = DARK[3].copy()
SPOT[10:20, 20:30] = 250
WINDOWS = {"windows": True}


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the backbone found by its name, as models name it."""
    entries = {name: BACKBONES.entry(name) for name in BACKBONES.names()}
    monkeypatch.setattr(BACKBONES, "_entries", {**entries, "worded": "worded_backbone:Worded"})


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model of three dark photographs and of words of damage, which are for bright ones."""
    texts = zsad.encode_texts(Worded(), "tin lid", category="lid")
    return zsad.fit(
        tmp_path / "lid.h5",
        list(DARK[:3]),
        "winclip_plus",
        backbone="worded",
        backbone_params=WINDOWS,
        category="lid",
        texts=texts,
    )


def test_a_model_holds_the_words_and_inspects_photographs_without_them(model: Path) -> None:
    with zsad.load(model) as inspector:
        sound, damaged = inspector.inspect(DARK[3]), inspector.inspect(SPOT)
    assert damaged.score > sound.score
    assert damaged.peak > sound.peak
    assert (sound.decision, damaged.decision) == (False, True)
    x, y, width, height = damaged.regions[0].box
    assert x < 25 < x + width
    assert y < 15 < y + height
    assert inspector.provenance["texts"]["part_name"] == "tin lid"
    assert inspector.provenance["texts"]["prompts"]["name"] == "winclip"


def test_a_photograph_gets_from_the_model_what_it_gets_beside_the_references(model: Path) -> None:
    extracted = {
        "test": zsad.extract([DARK[3], SPOT], Worded(windows=True)),
        "references": zsad.extract(list(DARK[:3]), Worded(windows=True)),
    }
    found = zsad.score("winclip_plus", {"shots": 3}, texts=zsad.encode_texts(Worded(), "tin lid"), **extracted)
    with zsad.load(model) as inspector:
        asked = [inspector.inspect(image) for image in (DARK[3], SPOT)]
    assert [one.score for one in asked] == pytest.approx([one.image_score for one in found], abs=1e-6)


def test_the_command_takes_such_a_model(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, image in (("dark.png", DARK[3]), ("spot.png", SPOT)):
        Image.fromarray(image).save(name)
    assert main(["inspect", "dark.png", "spot.png", "--model", str(model), "--out", "out", "--fail-on-defect"]) == 3
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["good", "defective"]
    rows = read_table(Path("out/images.csv"))
    with zsad.load(model) as inspector:
        asked = [inspector.inspect(image) for image in (DARK[3], SPOT)]
    assert [float(row["score"]) for row in rows] == pytest.approx([one.score for one in asked], rel=1e-5)
    assert [float(row["peak"]) for row in rows] == pytest.approx([one.peak for one in asked], rel=1e-5)


def test_other_words_make_another_model(model: Path, tmp_path: Path) -> None:
    prompts = tmp_path / "own.yaml"
    prompts.write_text('normal: ["damaged {}"]\nanomalous: ["{}"]\ntemplates: ["a {}"]\n')  # the wrong way round
    texts = zsad.encode_texts(Worded(), "tin lid", prompts)
    given = {"backbone": "worded", "backbone_params": WINDOWS, "texts": texts}
    other = zsad.fit(tmp_path / "other.h5", list(DARK[:3]), "winclip_plus", **given)
    with zsad.load(model) as one, zsad.load(other) as another:
        assert another.inspect(DARK[3]).score > one.inspect(DARK[3]).score
        assert another.provenance["texts"]["prompts"]["normal"] == ["damaged {}"]


def test_a_model_says_on_what_learned_prompts_were_trained_without_being_told_twice(tmp_path: Path) -> None:
    texts = zsad.encode_texts(Worded(), "tin lid")
    texts.provenance["prompts"] = LEARNED
    given = {"backbone": "worded", "backbone_params": WINDOWS, "texts": texts}
    made = zsad.fit(tmp_path / "m.h5", list(DARK[:2]), "winclip_plus", **given)
    with zsad.load(made) as inspector:
        assert inspector.provenance["setting"] == "few-shot-2+auxiliary(visa)"
        assert inspector.provenance["scorer"]["params"]["text_prompts"] == "epoch_15.pth"
        inspector.inspect(DARK[3])


def test_words_are_given_to_methods_that_read_some_and_to_no_others(tmp_path: Path) -> None:
    texts = zsad.encode_texts(Worded(), "lid")
    for scorer, given, sentence in (
        ("memory_bank", texts, "MemoryBank uses no texts"),
        ("winclip_plus", None, "WinClipPlus needs text prompts; give texts=zsad.encode_texts"),
        ("winclip_plus", "lid", "the texts are a str"),
    ):
        with pytest.raises(ArrayError, match=f"^{sentence}"):
            zsad.fit(tmp_path / "m.h5", [DARK[0]], scorer, backbone="worded", texts=given)  # type: ignore[arg-type]
    assert not (tmp_path / "m.h5").exists()


def test_every_method_that_asks_in_words_says_how_to(tmp_path: Path) -> None:
    """Whatever reads texts says so by its role, from which Python and `zsad inspect` know it."""
    asked = [name for name in SCORERS.names() if SCORERS.load(name).text_role]
    assert {"winclip", "winclip_plus", "text_similarity"} <= set(asked)
    tokens = zsad.extract([SPOT], Worded(windows=True))
    for name in asked:
        roles = dict.fromkeys(SCORERS.build(name).feature_sets(), tokens)
        with pytest.raises(ArrayError, match="needs text prompts; give texts="):
            zsad.score(name, **roles)


def test_a_clip_on_the_disk_is_asked_by_its_path(tmp_path: Path) -> None:
    """The whole way with a network: texts, patches by the path of values, windows, and a model that is loaded again."""
    write_tiny_clip(tmp_path / "clip")
    clip = str(tmp_path / "clip")
    texts = zsad.encode_texts(clip, "tin lid")
    values = {"model": clip, "path": "values", "first_value_block": 0, "resolution": 32}
    tokens = zsad.extract(list(DARK[:2]), "image_text", values)
    for found in zsad.score("text_similarity", test=tokens, texts=texts):
        assert found.image_score is not None
        assert 0 < found.image_score < 1
    windows = {"model": clip, "path": "windows", "windows": [2], "resolution": 32}
    given = {"backbone": "image_text", "backbone_params": windows, "texts": texts}
    made = zsad.fit(tmp_path / "m.h5", list(DARK[:3]), "winclip_plus", **given)
    with zsad.load(made) as inspector:
        asked = inspector.inspect(DARK[3])
    roles = {"test": [DARK[3]], "references": list(DARK[:3])}
    seen = {role: zsad.extract(images, "image_text", windows) for role, images in roles.items()}
    (found,) = zsad.score("winclip_plus", {"shots": 3}, texts=texts, **seen)
    assert asked.score == pytest.approx(found.image_score, rel=1e-4)
