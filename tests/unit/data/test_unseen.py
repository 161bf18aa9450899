"""No image under test may be among those that are learned from: the stage, and what others ask of it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from zsad.data.check_unseen import check_not_learned, check_unseen, learned_images, shared_files
from zsad.data.image_list import ListedImage, write_images
from zsad.errors import DamagedFileError, DataError
from zsad.files.json_files import read_json
from zsad.files.learned import Learned, write_learned


def hash_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def listed(path: Path, **contents: str) -> Path:
    """A list of images of the given contents, which lie nowhere."""
    write_images(
        path,
        [
            ListedImage(
                f"{name}.png", f"{path.stem}/{name}.png", split, 4, 4, hashlib.sha256(text.encode()).hexdigest()
            )
            for name, text in contents.items()
            for split in ("train" if name.startswith("train") else "test",)
        ],
    )
    return path


@pytest.mark.parametrize("shared", ["test_one", "train_one"])
def test_an_image_that_is_in_both_stops_with_one_sentence_that_names_both(tmp_path: Path, shared: str) -> None:
    under_test = listed(tmp_path / "lid.csv", test_one="a", train_one="b")
    lists = [
        listed(tmp_path / "cap.csv", test_x="c", train_y="d"),
        listed(tmp_path / "cup.csv", test_z={"test_one": "a", "train_one": "b"}[shared]),
    ]
    output = tmp_path / "unseen.json"
    check_unseen(under_test, output, {"stage": "check_unseen"}, auxiliary=lists[:1])
    assert read_json(output) == {"images": 2, "learned_from": 2, "provenance": {"stage": "check_unseen"}}
    output.unlink()
    with pytest.raises(DataError) as caught:
        check_unseen(under_test, output, {}, auxiliary=lists)
    assert str(caught.value) == (
        f"lid/{shared}.png is under test, and cup/test_z.png, which is for training, is the same "
        "image; scores on training images measure nothing, so remove one of them from its data set"
    )
    assert not output.exists()


def test_how_many_images_are_in_both_is_told(tmp_path: Path) -> None:
    under_test = listed(tmp_path / "lid.csv", a="1", b="2", c="3")
    with pytest.raises(DataError, match=r"lid/b\.png is under test.*\(and 1 more is in both\)"):
        check_unseen(under_test, tmp_path / "o", {}, auxiliary=[listed(tmp_path / "cap.csv", x="3", y="2")])
    with pytest.raises(DataError, match=r"\(and 2 more are in both\)"):
        check_unseen(under_test, tmp_path / "o", {}, auxiliary=[listed(tmp_path / "cup.csv", x="3", y="2", z="1")])


def test_weights_tell_which_images_they_were_learned_from(tmp_path: Path) -> None:
    under_test, weights = listed(tmp_path / "lid.csv", a="1", b="2"), tmp_path / "w.safetensors"
    write_learned(weights, Learned({}, {"images_sha256": [hash_of("3"), hash_of("4"), hash_of("5")]}))
    check_unseen(under_test, tmp_path / "unseen.json", {}, weights=weights)
    assert read_json(tmp_path / "unseen.json")["learned_from"] == 3
    write_learned(weights, Learned({}, {"images_sha256": [hash_of("3"), hash_of("2")]}))
    with pytest.raises(DataError) as caught:
        check_unseen(under_test, tmp_path / "o", {}, weights=weights)
    assert str(caught.value).startswith(f"lid/b.png is under test, and {weights} was trained on the same image; scores")
    for facts in ({}, {"images_sha256": []}, {"images_sha256": "all"}):
        write_learned(weights, Learned({}, facts))
        with pytest.raises(DataError, match=f"{weights} does not name the images that it was trained on"):
            check_unseen(under_test, tmp_path / "o", {}, weights=weights)
    weights.write_bytes(weights.read_bytes()[:-9])
    with pytest.raises(DamagedFileError, match="is damaged"):
        check_unseen(under_test, tmp_path / "o", {}, weights=weights)
    with pytest.raises(DataError, match="does not exist"):
        check_unseen(under_test, tmp_path / "o", {}, weights=tmp_path / "gone")
    assert not (tmp_path / "o").exists()


def test_photographs_of_anybody_are_asked_about_likewise(tmp_path: Path) -> None:
    images = [ListedImage(name, name, "test", 4, 4, hash_of(name)) for name in ("a.png", "b.png")]
    hashes = learned_images({"images_sha256": [hash_of("b.png")]}, tmp_path)
    check_not_learned(images[:1], hashes, tmp_path / "w")
    with pytest.raises(DataError, match=r"^b\.png is under test"):
        check_not_learned(images, hashes, tmp_path / "w")


def test_files_that_are_the_same_are_found_before_a_run(tmp_path: Path) -> None:
    contents = {"a": b"12", "b": b"345", "c": b"21", "d": b"", "x": b"543", "y": b"12", "z": b"12", "e": b"345"}
    paths = {name: tmp_path / name for name in contents}
    for name, content in contents.items():
        paths[name].write_bytes(content)
    gone = tmp_path / "gone"
    under_test = [paths[name] for name in "abcd"] + [gone, tmp_path]
    assert shared_files(under_test, [paths[name] for name in "xyz"] + [tmp_path / "gone too"]) == [
        (paths["a"], paths["y"])
    ]
    assert shared_files(under_test, [paths["e"]]) == [(paths["b"], paths["e"])]
    assert shared_files(under_test, []) == []
