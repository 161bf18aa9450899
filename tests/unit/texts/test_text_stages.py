"""Words from the configuration to scores, in this process: what is encoded, what follows a change, what is refused."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import yaml
from PIL import Image

from cases.results import hostile, linked_elsewhere
from chain import Chain, Outcome
from harness import merged
from tiny_dinotxt import saved as write_dinotxt
from tiny_siglip import write_siglip2, write_tipsv2
from tiny_texts import write_learned_tokens, write_linear_layers, write_tiny_clip
from zsad.features.registry import BACKBONES
from zsad.files.features import FeatureReader
from zsad.files.hdf5 import read_provenance
from zsad.files.provenance import file_sha256
from zsad.files.texts import ANOMALOUS, NORMAL, TextReader, TextWriter
from zsad.workflow.settings import DEFAULT_PATH

WORDS = {"normal": ["{}"], "anomalous": ["torn {}", "bent {}"], "templates": ["a {}", "the {}"]}
CATEGORIES = ("pcb_1", "tile")
METHODS = {
    "windows": {"scorer": "winclip", "backbone": "seen", "params": {"text_prompts": "mine.yaml"}},
    "dense": {"scorer": "text_similarity", "backbone": "flat", "params": {"text_prompts": "mine.yaml"}},
    "few": {"scorer": "winclip_plus", "backbone": "seen", "params": {"text_prompts": "mine.yaml", "shots": 2}},
    "alone": {"scorer": "mutual", "backbone": "flat"},
    "both": {"scorer": "fusion", "params": {"methods": ["alone", "windows"]}},
}
OF_WORDS = ("windows", "dense", "few")


def draw(folder: Path) -> None:
    """A data set of two categories, and a set of prompts."""
    (folder / "mine.yaml").write_text(yaml.safe_dump(WORDS), encoding="utf-8")
    rng = np.random.default_rng(0)
    mask = np.zeros((40, 48), np.uint8)
    mask[10:20, 10:20] = 255
    for category in CATEGORIES:
        for number in range(2):
            for kind in ("train/good", "test/good", "test/dent"):
                pixels = rng.integers(0, 256, (*mask.shape, 3), dtype=np.uint8)
                save(folder / f"set/{category}/{kind}/{number}.png", pixels)
            save(folder / f"set/{category}/ground_truth/dent/{number}_mask.png", mask)


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory with images and prompts, and a toy in the registry."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(BACKBONES._entries, "worded", "toy_texts:Worded")
    draw(tmp_path)


def configuration(**changes: Any) -> dict[str, Any]:
    default = yaml.safe_load(DEFAULT_PATH.read_text(encoding="utf-8"))
    base = merged(
        default,
        dataset={**default["dataset"], "layout": "mvtec", "root": "set", "name": "t"},
        device="cpu",
        backbone="flat",
        backbones={
            "seen": {"family": "worded", "params": {"path": "windows"}},
            "flat": {"family": "worded"},
        },
        methods=METHODS,
        refiners={},
        report__refiner="none",
        evaluation__bootstrap=0,
    )
    return merged(base, **changes)


def made(chain: Chain, config: Mapping[str, Any]) -> set[str]:
    """The results of categories that a run makes or makes anew, relative to their folder; it must succeed."""
    before = times()
    outcome = chain.run(config)
    assert outcome.status == 0, outcome.said
    return {path for path, time in times().items() if before.get(path) != time}


def times() -> dict[str, int]:
    base = Path("results/t")
    kinds = ("features", "texts", "models", "scores")
    found = (path for kind in kinds for path in base.glob(f"*/{kind}/**/*.h5"))
    return {path.relative_to(base).as_posix(): path.stat().st_mtime_ns for path in found}


def texts_of(category: str) -> Path:
    (path,) = Path(f"results/t/{category}/texts").glob("seen.mine-*.h5")
    return path


def relative(path: Path) -> str:
    return path.relative_to("results/t").as_posix()


def scores(category: str, *methods: str) -> set[str]:
    return {f"{category}/scores/{name}.h5" for name in methods}


def asked_anew(category: str) -> set[str]:
    """What follows from other sentences about a category."""
    return {relative(texts_of(category)), f"{category}/models/few.h5"} | scores(category, *OF_WORDS, "both")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Chain]:
    """A folder with a finished run, for all tests; copy it, do not change it."""
    folder, chain = tmp_path_factory.mktemp("finished"), Chain()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setitem(BACKBONES._entries, "worded", "toy_texts:Worded")
        draw(folder)
        outcome = chain.run(configuration())
    assert outcome.status == 0, outcome.said
    return folder, chain


@pytest.fixture
def chain(finished: tuple[Path, Chain]) -> Chain:
    """A finished run in the working directory."""
    folder, chain = finished
    shutil.copytree(folder, Path(), dirs_exist_ok=True)
    return Chain(chain.made)


def test_a_score_file_says_what_was_asked_and_who_encoded_it(chain: Chain) -> None:
    with TextReader(texts_of("pcb_1")) as read:
        assert read.sentences == [
            "a pcb 1",
            "the pcb 1",
            "a torn pcb 1",
            "the torn pcb 1",
            "a bent pcb 1",
            "the bent pcb 1",
        ]
        assert read.states.tolist() == [NORMAL] * 2 + [ANOMALOUS] * 4
    for name in (*OF_WORDS, "both"):
        provenance = read_provenance(Path(f"results/t/pcb_1/scores/{name}.h5"))
        told = provenance["members"]["windows"] if name == "both" else provenance
        assert told["texts"]["part_name"] == "pcb 1"
        assert told["texts"]["sentences"] == 6
        assert told["texts"]["model"]["id"] == "toy"
        assert told["texts"]["prompts"]["templates"] == WORDS["templates"]
    assert "texts" not in read_provenance(Path("results/t/pcb_1/scores/alone.h5"))
    assert read_provenance(Path("results/t/pcb_1/models/few.h5"))["texts"]["part_name"] == "pcb 1"


def test_nothing_is_done_twice(chain: Chain) -> None:
    assert made(chain, configuration()) == set()


def test_another_template_is_encoded_and_scored_by_and_nothing_is_extracted(chain: Chain) -> None:
    Path("mine.yaml").write_text(yaml.safe_dump({**WORDS, "templates": ["one {}"]}), encoding="utf-8")
    anew = made(chain, configuration())
    assert anew == asked_anew("pcb_1") | asked_anew("tile")
    with TextReader(texts_of("tile")) as read:
        assert read.sentences == ["one tile", "one torn tile", "one bent tile"]


def test_another_name_of_an_object_concerns_its_category_alone(chain: Chain) -> None:
    assert made(chain, configuration(dataset__part_names={"pcb_1": "circuit board"})) == asked_anew("pcb_1")
    with TextReader(texts_of("pcb_1")) as read:
        assert read.provenance["part_name"] == "circuit board"
        assert read.sentences[0] == "a circuit board"


def test_another_averaging_scores_anew_and_encodes_nothing(chain: Chain) -> None:
    changed = configuration(methods__windows__params={"text_prompts": "mine.yaml", "averaging": "normalised"})
    assert made(chain, changed) == {path for name in CATEGORIES for path in scores(name, "windows", "both")}


def test_what_images_are_seen_by_is_extracted_anew_and_encodes_nothing(chain: Chain) -> None:
    anew = made(chain, configuration(backbones__flat__params__cells=5))
    assert {path for path in anew if "/texts/" in path or "/seen/" in path} == set()
    assert scores("tile", "dense") < anew


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def of_one_state(path: Path) -> None:
    def change(file: h5py.File) -> None:
        file["state"][:] = NORMAL

    hostile(str(path), change)(None)


def linked(path: Path) -> None:
    hostile(str(path), linked_elsewhere("embedding"))(None)


@pytest.mark.parametrize("damage", [cut, of_one_state, linked])
def test_damaged_texts_are_removed_and_encoded_anew(chain: Chain, damage: Callable[[Path], None]) -> None:
    path = texts_of("tile")
    damage(path)
    Path("results/t/tile/scores/windows.h5").unlink()
    outcome = chain.run(configuration())
    assert outcome.status == 1
    assert re.fullmatch(
        rf"zsad: score_images: {path} is .*; it was removed, and the next run makes it again", outcome.said[-1]
    )
    assert not path.exists()
    anew = made(chain, configuration())
    assert relative(path) in anew
    assert not [name for name in anew if "/features/" in name]


def test_texts_of_another_model_are_not_compared_with_the_features(chain: Chain) -> None:
    path = texts_of("tile")
    with TextReader(path) as read:
        known = {name: getattr(read, name) for name in ("sentences", "states", "embeddings", "patch_part")}
        provenance = merged(read.provenance, model__id="another")
    with TextWriter(path, provenance, **known):
        pass
    Path("results/t/tile/scores/windows.h5").unlink()
    outcome = chain.run(configuration())
    assert outcome.status == 1
    assert "come from different models (another and toy)" in outcome.said[-1]
    assert not Path("results/t/tile/scores/windows.h5").exists()


def refused(config: Mapping[str, Any]) -> str:
    """The one sentence of a run that fails as it encodes; nothing is half written."""
    outcome: Outcome = Chain().run(config)
    assert outcome.status == 1
    (said,) = outcome.said
    assert said.startswith("zsad: encode_texts: ")
    assert not any(path.exists() for path in outcome.failed)
    assert not list(Path("results/t").glob("*/texts/*"))
    return said


def test_a_name_that_the_model_does_not_read_to_its_end_is_refused() -> None:
    said = refused(configuration(dataset__part_names={"pcb_1": " ".join(["very"] * 80)}))
    assert "'pcb_1'" in said
    assert "85 tokens" in said or "84 tokens" in said
    assert "shorten" in said


def test_a_set_of_prompts_that_goes_in_mid_run_is_named() -> None:
    outcome = Chain().run(configuration(), {"encode_texts": Path("mine.yaml").unlink})
    assert outcome.status == 1
    assert "mine.yaml" in outcome.said[-1]
    assert not list(Path("results/t").glob("*/texts/*"))


TINY = {"family": "image_text", "params": {"resolution": 32}}


def of_tiny(**params: Any) -> dict[str, Any]:
    return merged(TINY, **{f"params__{name}": value for name, value in params.items()})


def test_models_of_every_family_go_from_images_and_words_to_scores() -> None:
    write_tiny_clip(Path("clip"))
    write_siglip2(Path("siglip2"))
    write_tipsv2(Path("tipsv2"))
    dinotxt = write_dinotxt(Path("dinotxt"), longest=40)
    learned, layers = write_learned_tokens(Path("learned.pth")), write_linear_layers(Path("layers.pth"))
    head, tokenizer = str(dinotxt.head), str(dinotxt.tokenizer)
    backbones = {
        "clip": of_tiny(model="clip", path="values", first_value_block=-2),
        "raw": of_tiny(model="clip", projected=False, normed=False, layers=[0, 1, 2, 3]),
        "siglip2": of_tiny(model="siglip2"),
        "tipsv2": of_tiny(model="tipsv2", path="values"),
        "dinotxt": of_tiny(model=str(dinotxt.folder), head=head, tokenizer=tokenizer),
    }
    asked = {"scorer": "text_similarity", "params": {"text_prompts": "mine.yaml"}}
    methods = {f"by_{name}": {**asked, "backbone": name} for name in backbones if name != "raw"}
    of_others = {"text_prompts": str(learned), "trained_on": "visa"}
    methods["by_others"] = {"scorer": "text_similarity", "backbone": "clip", "params": of_others}
    with_layers = {"text_prompts": "mine.yaml", "linear_layers": str(layers), "trained_on": "visa"}
    methods["by_layers"] = {"scorer": "text_similarity", "backbone": "raw", "params": with_layers}
    config = configuration(backbone="clip", backbones=backbones, methods=methods, dataset__categories=["tile"])
    outcome = Chain().run(config)
    assert outcome.status == 0, outcome.said
    for name in set(backbones) - {"raw"}:
        (texts,) = Path("results/t/tile/texts").glob(f"{name}.mine-*.h5")
        with TextReader(texts) as words, FeatureReader(f"results/t/tile/features/{name}/test.original.h5") as images:
            assert words.embeddings.shape == (6, images.channels)
            assert words.provenance["model"]["id"] == images.provenance["model"]["id"]
        with h5py.File(f"results/t/tile/scores/by_{name}.h5") as file:
            assert len(np.unique(file["image_score"][:])) == 4
    provenance = read_provenance(Path("results/t/tile/scores/by_others.h5"))
    assert provenance["setting"] == "zero-shot-auxiliary(visa)"
    assert provenance["texts"]["prompts"]["sha256"] == file_sha256(learned)
    provenance = read_provenance(Path("results/t/tile/scores/by_layers.h5"))
    assert provenance["learned_files"] == {"linear_layers": file_sha256(layers)}
    assert provenance["texts"]["sentences"] == 6  # of the file that is shared with the same model by another path
    assert not list(Path("results/t/tile/texts").glob("raw.*"))


def test_examples_beside_the_data_set_are_scored_by_words_too() -> None:
    for kind in ("dent", "scratch"):
        for number in range(2):
            save(Path(f"known/{kind}/{number}.png"), np.full((40, 48, 3), 40 * number + len(kind), np.uint8))
    entry = {"classifier": "nearest_exemplar", "support": "known", "embedding": "region", "method": "dense"}
    few = {"shots": [1], "seeds": [0], "calibration": 0, "conformal": {"sets": "cross"}, "scarce": "skip"}
    config = configuration(
        dataset__categories=["tile"],
        methods={"dense": METHODS["dense"]},
        supports={"known": {"folder": "known"}},
        classifiers={"kinds": {**entry, **few}},
    )
    outcome = Chain().run(config)
    assert outcome.status == 0, outcome.said
    provenance = read_provenance(Path("results/t/tile/labelled/known.dense.h5"))
    assert provenance["texts"]["part_name"] == "tile"
