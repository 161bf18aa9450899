"""Files of classifications: what was put in comes back, and what contradicts itself is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from hdf5_edits import edited, replaced
from zsad.errors import DamagedFileError, DataError
from zsad.files.classified import (
    CALIBRATION,
    LEFT_OUT,
    QUERY,
    SUPPORT,
    Classified,
    ClassifiedReader,
    ClassifiedWriter,
    DrawInfo,
    Exemplar,
)
from zsad.files.scores import ScoreWriter

IDS = [f"test/{number}.png" for number in range(6)]
KINDS = ["crack", "good", "é scratch"]
EXEMPLARS = [Exemplar("test", IDS[place], kind) for place, kind in ((4, "crack"), (0, "good"), (2, "é scratch"))]
BESIDE = [Exemplar("catalogue", f"{kind}/1.png", kind) for kind in KINDS]
REMARKS = ["Few images.", "A second sentence;\nwith a line break, and é."]
ALPHA = 0.25
NOTHING = float("nan")


def draw(seed: int = 3, shots: Any = 1, **changes: Any) -> DrawInfo:
    counts = {"support": [1, 1, 1], "calibration": [1, 0, 0], "remarks": REMARKS}
    return DrawInfo(**{"seed": seed, "shots": shots, "setting": f"few-shot-defects-{shots}", **counts, **changes})


def said(**changes: Any) -> Classified:
    """Images 3 and 5 are queries, 1 calibrates, and the others are examples."""
    given: dict[str, Any] = {
        "roles": np.array([SUPPORT, CALIBRATION, SUPPORT, QUERY, SUPPORT, QUERY], np.uint8),
        "scores": rows([0.5, -2.0, 0.25], [3.0, 0.0, 0.0]),
        "probabilities": rows([0.25, 0.25, 0.5], [1.0, 0.0, 0.0]),
        "p_values": rows([0.125, 0.25, 1.0], [0.2, 0.1, 0.1]),
        "in_set": np.zeros((6, 3), bool),
        "nearest": np.full((6, 3), -1, np.int32),
        "similarity": rows([0.5, -1.0, 1.0], [0.0, 0.25, 0.125]),
    }
    given["in_set"][3] = False, True, True  # at alpha itself a p-value decides nothing
    given["nearest"][[3, 5]] = 0, 1, 2
    return Classified(**{**given, **changes})


def rows(*answers: list[float]) -> np.ndarray:
    """The numbers of the two queries, among those of all images."""
    whole = np.full((6, len(answers[0])), NOTHING)
    whole[[3, 5]] = answers
    return whole


def write(path: Path, *contents: Classified, **changes: Any) -> Path:
    contents = contents or (said(),)
    given: dict[str, Any] = {
        "kinds": KINDS,
        "exemplars": EXEMPLARS,
        "draws": [draw(seed) for seed in range(len(contents))],
        "alpha": ALPHA,
        "regions": "predicted",
        **changes,
    }
    ids = given.pop("ids", IDS)
    with ClassifiedWriter(path, ids, {"stage": "classify_images", "worst": np.nan}, **given) as writer:
        for index, content in enumerate(contents):
            writer.write(index, content)
    return path


def test_what_is_said_comes_back_as_it_was(tmp_path: Path) -> None:
    other = said(scores=rows([9.0, 1e-300, 0.25], [-3.0, 0.0, 0.0]))
    draws = [draw(3, 1), draw(3, "all", remarks=[])]
    with ClassifiedReader(write(tmp_path / "c.h5", said(), other, draws=draws)) as found:
        assert (found.image_ids, found.kinds, found.exemplars, found.draws) == (IDS, KINDS, EXEMPLARS, draws)
        assert (found.alpha, found.regions, found.shown) == (ALPHA, "predicted", 0)
        assert found.provenance == {"stage": "classify_images", "worst": None}
        for index, given in enumerate((said(), other)):
            for name, values in found.draw(index)._asdict().items():
                np.testing.assert_array_equal(values, getattr(given, name))
                assert values.dtype == getattr(given, name).dtype
        assert found.draw(1).queries.tolist() == [3, 5]
        assert found.draw(1).predicted.tolist() == [-1, -1, -1, 2, -1, 0]
        found.check()
    with pytest.raises(DataError, match="has been closed"):
        found.draw(0)


def test_examples_beside_the_data_set_have_no_place_among_the_images(tmp_path: Path) -> None:
    given = said(roles=np.array([LEFT_OUT] * 3 + [QUERY, LEFT_OUT, QUERY], np.uint8))
    with ClassifiedReader(write(tmp_path / "c.h5", given, exemplars=BESIDE)) as found:
        assert found.exemplars == BESIDE
        assert found.draws[0].support == [1, 1, 1]


def test_the_draw_that_is_shown_is_the_first_seeds_with_the_most_shots(tmp_path: Path) -> None:
    more = {"support": [2, 2, 2]}
    exemplars = [*BESIDE, *(one._replace(image_id=f"{one.kind}/2.png") for one in BESIDE)]
    given = said(roles=np.array([LEFT_OUT] * 3 + [QUERY, LEFT_OUT, QUERY], np.uint8))
    draws = [draw(3, 1), draw(3, 2, **more), draw(4, 2, **more)]
    write(tmp_path / "c.h5", *[given] * 3, draws=draws, exemplars=exemplars)
    with ClassifiedReader(tmp_path / "c.h5") as found:
        assert found.shown == 1


def test_names_of_very_many_examples_find_a_place(tmp_path: Path) -> None:
    many = [Exemplar("catalogue", f"{'long name ' * 10}{number}.png", KINDS[number % 3]) for number in range(6000)]
    given = said(roles=np.array([LEFT_OUT] * 3 + [QUERY, LEFT_OUT, QUERY], np.uint8))
    with ClassifiedReader(write(tmp_path / "c.h5", given, exemplars=many)) as found:
        assert found.exemplars == many


# --- what contradicts itself ---


def changed(name: str, place: Any, value: Any) -> dict[str, np.ndarray]:
    values = getattr(said(), name).copy()
    values[place] = value
    return {name: values}


CONTRADICTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "one image less": ({"scores": said().scores[1:]}, "not have numbers for 6 images and 3 kinds"),
    "one kind more": ({"p_values": np.ones((6, 4))}, "not have numbers for 6 images and 3 kinds"),
    "an unknown role": (changed("roles", 3, 4), "unknown roles"),
    "no queries": ({"roles": np.full(6, LEFT_OUT, np.uint8)}, "no queries"),
    "an example more": (changed("roles", 1, SUPPORT), "the number of labelled images"),
    "no calibration image": (changed("roles", 1, LEFT_OUT), "the number of labelled images"),
    "no score": (changed("scores", (3, 1), np.nan), "not given exactly for the queries"),
    "an infinite score": (changed("scores", (3, 1), np.inf), "not given exactly for the queries"),
    "the score of an example": (changed("scores", (0, 1), 0.5), "not given exactly for the queries"),
    "the cosine of an example": (changed("similarity", 0, 0.5), "not given exactly for the queries"),
    "a probability below 0": (changed("probabilities", 3, (-0.5, 1, 0.5)), "do not add up"),
    "probabilities of more than 1": (changed("probabilities", 3, (0.5, 0.5, 0.5)), "do not add up"),
    "a p-value of 0": (changed("p_values", (3, 0), 0), r"p-values are not in \(0, 1\]"),
    "a p-value above 1": (changed("p_values", (3, 2), 1.5), r"p-values are not in \(0, 1\]"),
    "a kind that its p-value rules out": (changed("in_set", (3, 0), True), "not match its p-values"),
    "a kind that its p-value does not": (changed("in_set", (3, 2), False), "not match its p-values"),
    "the set of an example": (changed("in_set", (0, 0), True), "not given exactly for the queries"),
    "no nearest example": (changed("nearest", (3, 0), -1), "nearest exemplars do not exist"),
    "a nearest example that is not there": (changed("nearest", (3, 2), 3), "nearest exemplars do not exist"),
    "a nearest example of another kind": (changed("nearest", 3, (1, 0, 2)), "has another kind"),
    "the nearest example of an example": (changed("nearest", 0, 0), "sets and nearest"),
    "a cosine above 1": (changed("similarity", (3, 0), 1.001), "not cosines"),
    "a cosine below -1": (changed("similarity", (3, 0), -1.001), "not cosines"),
    "an example that takes no part": (
        {"roles": np.array([CALIBRATION, SUPPORT, SUPPORT, QUERY, SUPPORT, QUERY], np.uint8)},
        "not an example of its sample",
    ),
}


@pytest.mark.parametrize(("change", "words"), CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_what_contradicts_itself_is_not_written(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        write(tmp_path / "c.h5", said(**change))
    assert list(tmp_path.iterdir()) == []


FRAMES: dict[str, tuple[dict[str, Any], str]] = {
    "no images": ({"ids": []}, "lists an image twice, or no image"),
    "an image twice": ({"ids": [*IDS[:-1], IDS[0]]}, "lists an image twice, or no image"),
    "no kinds": ({"kinds": []}, "not sorted names"),
    "kinds out of order": ({"kinds": KINDS[::-1]}, "not sorted names"),
    "a kind twice": ({"kinds": ["crack", *KINDS]}, "not sorted names"),
    "a kind without a name": ({"kinds": ["", *KINDS[1:]]}, "not sorted names"),
    "a kind without examples": ({"exemplars": EXEMPLARS[1:]}, "other kinds"),
    "an example that is not shown": ({"exemplars": [*EXEMPLARS, Exemplar("test", IDS[1], "dent")]}, "have other kinds"),
    "an example twice": ({"exemplars": [*EXEMPLARS, EXEMPLARS[0]._replace(kind="good")]}, "listed twice"),
    "an example that is no image": (
        {"exemplars": [EXEMPLARS[0]._replace(image_id="a"), *EXEMPLARS[1:]]},
        "not one of the",
    ),
    "examples from two places": ({"exemplars": [BESIDE[0], *EXEMPLARS[1:]]}, "several sources"),
    "no alpha": ({"alpha": 0.0}, "alpha is not a share"),
    "an alpha of 1": ({"alpha": 1.0}, "alpha is not a share"),
    "an alpha that is no number": ({"alpha": NOTHING}, "alpha is not a share"),
    "unknown regions": ({"regions": "truth"}, "regions are unknown"),
    "no draws": ({"draws": []}, "or there is none"),
    "a draw twice": ({"draws": [draw(), draw()]}, "a sample exists twice"),
    "counts of fewer kinds": ({"draws": [draw(support=[1, 1])]}, "does not count"),
    "counts of more kinds": ({"draws": [draw(calibration=[1, 0, 0, 0])]}, "does not count"),
    "fewer images than none": ({"draws": [draw(calibration=[1, -1, 1])]}, "does not count"),
    "half an image": ({"draws": [draw(support=[1, 1, 1.0])]}, "does not count"),
    "a seed in words": ({"draws": [draw(seed="one")]}, "does not count"),
    "no example": ({"draws": [draw(support=[1, 0, 1])]}, "no example"),
    "more examples than shots": ({"draws": [draw(support=[1, 2, 1])]}, "more examples of a kind than shots"),
    "no shots": ({"draws": [draw(shots=0)]}, "no number of shots"),
    "shots in words": ({"draws": [draw(shots="many")]}, "no number of shots"),
    "a setting of other shots": ({"draws": [draw(setting="few-shot-defects-5")]}, "the setting"),
    "a setting of detectors": ({"draws": [draw(setting="few-shot-1")]}, "the setting"),
    "a remark alone": ({"draws": [draw(remarks="Few.")]}, "not text"),
    "a remark that is a number": ({"draws": [draw(remarks=[3])]}, "not text"),
}


@pytest.mark.parametrize(("change", "words"), FRAMES.values(), ids=FRAMES)
def test_a_file_of_nothing_that_makes_sense_is_not_begun(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        write(tmp_path / "c.h5", **change)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_lacks_a_draw_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not every sample was written"):
        write(tmp_path / "c.h5", said(), draws=[draw(3), draw(4)])
    assert list(tmp_path.iterdir()) == []


def test_shots_of_one_seed_with_other_queries_are_not_kept(tmp_path: Path) -> None:
    roles = np.array([LEFT_OUT] * 3 + [QUERY, LEFT_OUT, QUERY], np.uint8)
    fewer = Classified(*(values[:] for values in said(roles=roles)))
    for name in ("scores", "probabilities", "p_values", "similarity"):
        fewer = fewer._replace(**changed(name, 5, np.nan))
    fewer = fewer._replace(roles=roles * (np.arange(6) != 5) + (np.arange(6) == 5) * np.uint8(LEFT_OUT))
    fewer = fewer._replace(**changed("nearest", 5, -1))
    both = (said(roles=roles), fewer._replace(roles=fewer.roles.astype(np.uint8)))
    write(tmp_path / "seeds.h5", *both, draws=[draw(3), draw(4)], exemplars=BESIDE)
    with pytest.raises(ValueError, match="different queries"):
        write(tmp_path / "c.h5", *both, draws=[draw(3, 1), draw(3, 2)], exemplars=BESIDE)
    assert [path.name for path in tmp_path.iterdir()] == ["seeds.h5"]


# --- files that somebody else wrote ---


def in_json(name: str, edit: Callable[[Any], Any]) -> Callable[[h5py.File], None]:
    return lambda file: file.attrs.update({name: json.dumps(edit(json.loads(file.attrs[name])))})


def linked(name: str, link: Any) -> Callable[[h5py.File], None]:
    def replace(file: h5py.File) -> None:
        del file[name]
        file[name] = link

    return replace


def without_content(file: h5py.File) -> None:
    del file["scores"]
    file.create_dataset("scores", shape=(1, 6, 3), dtype=np.float64)


FOREIGN: dict[str, Callable[[h5py.File], Any]] = {
    **{
        f"{words}, in a file": replaced(
            *next((name, values[None]) for name, values in CONTRADICTIONS[words][0].items())
        )
        for words in ("no score", "a nearest example of another kind")
    },
    "an unknown role": replaced("roles", np.uint8([[1, 2, 1, 4, 1, 0]])),
    "numbers of half the digits": replaced("scores", said().scores[None].astype(np.float32)),
    "roles of another kind": replaced("roles", said().roles[None].astype(np.int64)),
    "places of another kind": replaced("nearest", said().nearest[None].astype(np.int64)),
    "sets by halves": replaced("in_set", said().in_set[None] * np.uint8(2)),
    "numbers of two draws": replaced("scores", np.stack([said().scores] * 2)),
    "a draw alone": replaced("scores", said().scores),
    "numbers without content": without_content,
    "numbers that are elsewhere in the file": linked("scores", h5py.SoftLink("/p_values")),
    "numbers in another file": linked("scores", h5py.ExternalLink("other.h5", "/scores")),
    "missing numbers": lambda file: file.pop("p_values"),
    **{
        f"no {name}": (lambda file, name=name: file.attrs.pop(name))
        for name in ("kinds", "exemplars", "draws", "alpha")
    },
    "no regions": lambda file: file.attrs.pop("regions"),
    "kinds in another form": lambda file: file.attrs.update(kinds="crack"),
    "kinds that are no list": lambda file: file.attrs.update(kinds="3"),
    "kinds that are numbers": in_json("kinds", lambda kinds: [1, 2, 3]),
    "other kinds": in_json("kinds", lambda kinds: ["a", "b", "c"]),
    "a kind less": in_json("kinds", lambda kinds: kinds[1:]),
    "exemplars without kinds": in_json("exemplars", lambda exemplars: [one[:2] for one in exemplars]),
    "exemplars that are numbers": in_json("exemplars", lambda exemplars: [[1, 2, 3]] * 3),
    "an exemplar less": in_json("exemplars", lambda exemplars: exemplars[:-1]),
    "exemplars of another kind": in_json("exemplars", lambda exemplars: [[*one[:2], "good"] for one in exemplars]),
    "no draw": in_json("draws", lambda draws: []),
    "a draw more": in_json("draws", lambda draws: [*draws, {**draws[0], "seed": 9}]),
    "draws without remarks": in_json("draws", lambda draws: [{"seed": 3}]),
    "draws with more to them": in_json("draws", lambda draws: [{**draws[0], "kind": "good"}]),
    "a truth value for a seed": in_json("draws", lambda draws: [{**draws[0], "seed": True}]),
    "an alpha in words": lambda file: file.attrs.update(alpha="little"),
    "another alpha": lambda file: file.attrs.update(alpha=0.11),
    "regions in numbers": lambda file: file.attrs.update(regions=3),
    "an image less": lambda file: replaced("image_id", np.array(IDS[1:], h5py.string_dtype()))(file),
    "an image twice": lambda file: replaced("image_id", np.array([IDS[0], *IDS[:-1]], h5py.string_dtype()))(file),
}


@pytest.mark.parametrize("edit", FOREIGN.values(), ids=FOREIGN)
def test_a_file_that_says_something_else_than_its_writer_is_refused(
    tmp_path: Path, edit: Callable[[h5py.File], Any]
) -> None:
    path = edited(write(tmp_path / "c.h5"), edit)
    with pytest.raises(DamagedFileError, match=r"c\.h5 is not a readable HDF5 file .*; delete it and run again"):
        ClassifiedReader(path)


def test_a_file_that_is_edited_without_a_change_is_read(tmp_path: Path) -> None:
    with ClassifiedReader(edited(write(tmp_path / "c.h5"), lambda _: None)) as found:
        assert found.draw(0).predicted[3] == 2


@pytest.mark.parametrize("kept", [0, 100, 0.5, 0.99])
def test_a_truncated_file_is_refused(tmp_path: Path, kept: float) -> None:
    path = write(tmp_path / "c.h5")
    content = path.read_bytes()
    path.write_bytes(content[: int(kept if kept >= 1 or kept == 0 else kept * len(content))])
    with pytest.raises(DamagedFileError, match=r"c\.h5"):
        ClassifiedReader(path)


def test_a_changed_byte_of_a_number_is_told_of(tmp_path: Path) -> None:
    path = write(tmp_path / "c.h5", said(scores=rows([0.123456789, -2.0, 0.25], [3.0, 0.0, 0.0])))
    content = path.read_bytes()
    old = np.float64(0.123456789).tobytes()
    assert content.count(old) == 1
    path.write_bytes(content.replace(old, np.float64(0.5).tobytes()))
    with pytest.raises(DamagedFileError, match=r"c\.h5 is damaged"):
        ClassifiedReader(path)


def test_a_score_file_is_no_classification_file(tmp_path: Path) -> None:
    with ScoreWriter(tmp_path / "s.h5", ["a"], {}, grid_sizes=np.array([[1, 1]]), setting="full-shot") as writer:
        writer.write(0, np.zeros((1, 1)), 0.0)
    with pytest.raises(DamagedFileError, match="is not a classification file"):
        ClassifiedReader(tmp_path / "s.h5")
