"""Training, and applying what was learned, from Python: the file is that of the workflow, and mistakes are told."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import zsad
from learning_toys import toys
from toy_trained import Direction
from zsad.errors import ArrayError, ConfigError, DataError
from zsad.files.fitted import FittedReader
from zsad.files.learned import read_facts, read_learned
from zsad.scoring.registry import SCORERS

pytestmark = pytest.mark.usefixtures("toys")
__all__ = ["toys"]

SIZE = 64
SEEN = {"resolution": 64}


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """The toy learns of as many channels as the filter bank has."""
    monkeypatch.setattr("learning_toys.CHANNELS", 33)


def photograph(seed: int, *, spot: bool = False) -> np.ndarray:
    """uint8 RGB of noise, with a bright square in the upper left if wanted."""
    pixels = np.random.default_rng(seed).integers(90, 110, (SIZE, SIZE, 3), dtype=np.uint8)
    if spot:
        pixels[8:24, 8:24] = 250
    return pixels


def mask() -> np.ndarray:
    marked = np.zeros((SIZE, SIZE), np.uint8)
    marked[8:24, 8:24] = 255
    return marked


def labelled(seed: int = 0, **changes: Any) -> zsad.Labelled:
    given: dict[str, Any] = {
        "images": [photograph(seed), photograph(seed + 1, spot=True)],
        "labels": [0, 1],
        "masks": [None, mask()],
    }
    return zsad.Labelled(**{**given, **changes})


def train(output: Path, categories: Any = None, scorer: str = "direction", **options: Any) -> Path:
    given: dict[str, Any] = {"trained_on": "mine", "backbone": "embedded", "backbone_params": SEEN, **options}
    return zsad.train(output, {"ring": labelled()} if categories is None else categories, scorer, **given)


def test_what_was_learned_finds_defects_of_other_parts(tmp_path: Path) -> None:
    weights = train(tmp_path / "w.safetensors")
    assert weights == tmp_path / "w.safetensors"
    tokens = zsad.extract([photograph(7), photograph(8, spot=True)], "embedded", SEEN)
    normal, spotted = zsad.score("direction", weights=weights, test=tokens)
    assert normal.image_score is not None
    assert spotted.image_score is not None
    assert spotted.image_score > normal.image_score
    rows, columns = spotted.anomaly_map.shape
    place = np.unravel_index(spotted.anomaly_map.argmax(), spotted.anomaly_map.shape)
    assert place[0] < rows / 2
    assert place[1] < columns / 2


def test_the_file_tells_what_it_was_learned_from(tmp_path: Path) -> None:
    path = tmp_path / "spot.png"
    cv2.imwrite(str(path), photograph(1, spot=True))
    cv2.imwrite(str(tmp_path / "mask.png"), mask())
    photographs = labelled(images=[photograph(0), path], masks=[None, tmp_path / "mask.png"])
    learned = read_learned(
        train(tmp_path / "w.safetensors", {"ring": photographs, "nut": labelled(4)}, params={"seed": 5})
    )
    facts = learned.facts
    assert hashlib.sha256(path.read_bytes()).hexdigest() in facts["images_sha256"]
    assert len(facts["images_sha256"]) == 4
    assert (facts["trained_on"], facts["categories"], facts["seed"]) == ("mine", ["ring", "nut"], 5)
    assert facts["features"]["backbone"]["resolution"] == 64


def test_masks_as_files_and_arrays_teach_the_same(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "mask.png"), mask())
    first = train(tmp_path / "a", {"ring": labelled()})
    second = train(tmp_path / "b", {"ring": labelled(masks=[None, tmp_path / "mask.png"])})
    assert first.read_bytes() == second.read_bytes()
    without = train(tmp_path / "c", {"ring": labelled(masks=None)})
    assert read_facts(without)["notes"]


def test_references_are_normal_photographs_besides(tmp_path: Path) -> None:
    photographs = labelled(references=[photograph(20), photograph(21)])
    facts = read_facts(train(tmp_path / "w", {"ring": photographs}, "direction_by_references"))
    assert len(facts["images_sha256"]) == 4
    with pytest.raises(ArrayError, match="the category 'ring' has no references"):
        train(tmp_path / "v", {"ring": labelled()}, "direction_by_references")


def test_a_model_made_with_weights_holds_what_it_needs(tmp_path: Path) -> None:
    weights = train(tmp_path / "w.safetensors", scorer="leaning", params={"shots": 2})
    model = tmp_path / "model.h5"
    good = [photograph(30), photograph(31)]
    zsad.fit(model, good, "leaning", backbone="embedded", backbone_params=SEEN, weights=weights)
    weights.unlink()
    with FittedReader(model) as reader:
        told = reader.provenance
    assert told["scorer"]["params"]["trained_on"] == "mine"
    assert told["scorer"]["params"]["weights"] is None
    with zsad.load(model) as inspector:
        assert inspector.inspect(photograph(40, spot=True)).score > inspector.inspect(photograph(41)).score


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"labels": [0]}, "the category 'ring' has 2 images, but 1 labels; give one for each"),
        ({"masks": [None]}, "the category 'ring' has 2 images, but 1 masks; give one for each"),
        ({"labels": [0, 2]}, r"labels of the category 'ring' are \[0, 2\]; give 1 for anomalous, 0 otherwise"),
        ({"masks": [None, mask()[:9]]}, r"a mask has the shape \[9, 64\], but its image has 64 x 64 pixels"),
    ],
)
def test_what_does_not_go_together_is_told(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ArrayError, match=said):
        train(tmp_path / "w", {"ring": labelled(**changes)})
    assert not (tmp_path / "w").exists()


def test_only_one_kind_of_photographs_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the auxiliary data set 'mine' has no anomalous test image"):
        train(tmp_path / "w", {"ring": labelled(labels=[0, 0])})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"scorer": "mutual"}, "scorer 'mutual' with these parameters is not trained on labelled images; choose "),
        ({"params": {"weights": "w"}}, "scorer 'direction' will be trained; leave weights and trained_on out"),
        ({"trained_on": "two words"}, "trained_on = 'two words' is not valid: use letters, digits, '_' and '-'"),
        ({"trained_on": None}, "trained_on = None is not valid"),
        ({"params": {"steep": 1}}, "steep"),
    ],
)
def test_what_cannot_be_trained_is_told(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        train(tmp_path / "w", **options)


@pytest.mark.parametrize("categories", [{}, [labelled()], {"ring": [photograph(0)]}])
def test_other_forms_of_categories_are_told(tmp_path: Path, categories: Any) -> None:
    with pytest.raises(ArrayError, match=r"zsad\.Labelled"):
        train(tmp_path / "w", categories)


def test_weights_are_for_what_reads_them_and_for_their_features(tmp_path: Path) -> None:
    weights = train(tmp_path / "w.safetensors")
    finer = zsad.extract([photograph(7)], "embedded", {"resolution": 128})
    with pytest.raises(DataError, match=r"different backbones \(resolution: 128 and 64\)"):
        zsad.score("direction", weights=weights, test=finer)
    with pytest.raises(ConfigError, match="Mutual uses no trained weights; leave them out"):
        zsad.score("mutual", weights=weights, test=finer)
    with pytest.raises(DataError, match="holds weights of 'direction', not of 'direction_by_references'"):
        zsad.score("direction_by_references", weights=weights, test=finer)
    with pytest.raises(DataError, match="does not exist"):
        zsad.score("direction", weights=tmp_path / "none", test=finer)
    with pytest.raises(DataError, match="the method has no weights yet"):
        zsad.score("direction", test=finer)


def test_a_scorer_of_ones_own_reads_weights_as_well(tmp_path: Path) -> None:
    weights = train(tmp_path / "w.safetensors")
    tokens = zsad.extract([photograph(7)], "embedded", SEEN)
    (by_name,) = zsad.score("direction", weights=weights, test=tokens)
    (by_scorer,) = zsad.score(Direction(), weights=weights, test=tokens)
    np.testing.assert_array_equal(by_name.anomaly_map, by_scorer.anomaly_map)
    assert SCORERS.name_of(Direction()) == "direction"


def test_weights_that_are_a_parameter_tell_how_they_were_learned_as_those_that_are_given(tmp_path: Path) -> None:
    weights = train(tmp_path / "w.safetensors", params={"length": 3.0})
    tokens = zsad.extract([photograph(8, spot=True)], "embedded", SEEN)
    (given,) = zsad.score("direction", weights=weights, test=tokens)
    (named,) = zsad.score("direction", {"weights": str(weights)}, test=tokens)
    np.testing.assert_array_equal(given.anomaly_map, named.anomaly_map)
    for params in ({"length": 1.0}, {"length": 1.0, "weights": str(weights)}):
        with pytest.raises(DataError, match=r"trained with length 3\.0, not with 1\.0 .*leave 'length' out"):
            zsad.score("direction", params, weights=None if "weights" in params else weights, test=tokens)
