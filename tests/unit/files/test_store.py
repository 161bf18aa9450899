"""Result files are whole or absent, and give back what was put in."""

from __future__ import annotations

import errno
import fcntl
import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from zsad.errors import DamagedFileError, DataError
from zsad.files.atomic import atomic_path, write_text
from zsad.files.digests import CheckedFile, append_digests
from zsad.files.draws import read_draws, write_draws
from zsad.files.embeddings import EmbeddingReader, EmbeddingWriter
from zsad.files.features import FeatureReader, FeatureWriter
from zsad.files.json_files import read_json, write_json
from zsad.files.masks import MaskReader, MaskWriter
from zsad.files.scores import ScoreReader, ScoreWriter


def _features(path: Path, grids: list[tuple[int, int]], layers: int = 2, channels: int = 3) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    tokens = [rng.normal(size=(layers, *grid, channels)).astype(np.float16) for grid in grids]
    names = [f"image-{index}" for index in range(len(grids))]
    with FeatureWriter(
        path,
        names,
        {"stage": "test"},
        layers=range(layers),
        channels=channels,
        grid_sizes=np.array(grids),
        cls_source="class token",
    ) as writer:
        for index, token in enumerate(tokens):
            writer.write(index, token, token.mean(axis=(1, 2)))
    return tokens


def test_features_of_images_of_different_shapes_come_back_on_their_own_grids(tmp_path: Path) -> None:
    tokens = _features(tmp_path / "f.h5", [(2, 5), (4, 3)])
    with FeatureReader(tmp_path / "f.h5") as reader:
        assert reader.layers == ["0", "1"]
        assert reader.channels == 3
        assert reader.provenance == {"stage": "test"}
        for index, expected in enumerate(tokens):
            np.testing.assert_array_equal(reader.patch_tokens(index), expected.astype(np.float32))
            np.testing.assert_array_equal(reader.cls_tokens()[index], expected.mean(axis=(1, 2)).astype(np.float32))


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e6])
def test_features_that_do_not_fit_float16_are_refused_and_nothing_is_left(tmp_path: Path, value: float) -> None:
    with (
        pytest.raises(DataError, match="image-0 are not finite"),
        FeatureWriter(
            tmp_path / "f.h5",
            ["image-0"],
            {},
            layers=[0],
            channels=1,
            grid_sizes=np.array([[1, 1]]),
            cls_source="class token",
        ) as writer,
    ):
        writer.write(0, np.full((1, 1, 1, 1), value), np.zeros((1, 1)))
    assert list(tmp_path.iterdir()) == []


def test_scores_come_back_with_notes_and_setting(tmp_path: Path) -> None:
    maps = [np.arange(6.0).reshape(2, 3), np.ones((3, 1))]
    with ScoreWriter(
        tmp_path / "s.h5", ["a", "b"], {"k": 1}, grid_sizes=np.array([[2, 3], [3, 1]]), setting="few-shot-4"
    ) as writer:
        writer.write(1, maps[1], 0.5, note="not symmetric")
        writer.write(0, maps[0], 5.0, seconds=0.25)
    with ScoreReader(tmp_path / "s.h5") as reader:
        assert (reader.setting, reader.localises, reader.notes) == ("few-shot-4", True, ["", "not symmetric"])
        assert reader.image_scores.tolist() == [5.0, 0.5]
        assert reader.seconds[0] == 0.25
        for index, expected in enumerate(maps):
            np.testing.assert_array_equal(reader.anomaly_map(index), expected)


def test_masks_come_back_bit_for_bit_at_their_own_sizes(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    masks = [rng.random(size) > 0.5 for size in [(3, 5), (8, 8), (1, 1), (7, 2)]]
    with MaskWriter(tmp_path / "m.h5", [str(index) for index in range(4)], {}) as writer:
        for index, mask in enumerate(masks):
            writer.append(mask, float(index), [{"box": [0, 0, 1, 1], "score": np.float32(index)}])
    with MaskReader(tmp_path / "m.h5") as reader:
        for index, expected in enumerate(masks):
            np.testing.assert_array_equal(reader.mask(index), expected)
            assert reader.regions(index) == [{"box": [0, 0, 1, 1], "score": float(index)}]


def test_a_mask_file_with_fewer_masks_than_announced_is_not_kept(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="1 masks written, 2 announced"),
        MaskWriter(tmp_path / "m.h5", ["a", "b"], {}) as writer,
    ):
        writer.append(np.ones((2, 2), bool), 1.0, [])
    assert list(tmp_path.iterdir()) == []


SHAPES = [(4, 3, 3), (2,)]


def _embedding(seed: int) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    return tuple(rng.normal(size=shape).astype(np.float16) for shape in SHAPES)


def _embeddings(path: Path, entries: list[tuple[str, tuple[int, int, int, int]]]) -> list[tuple[np.ndarray, ...]]:
    written = [_embedding(index) for index in range(len(entries))]
    names, windows = [name for name, _ in entries], np.array([window for _, window in entries])
    with EmbeddingWriter(path, names, {"segmenter": {"id": "m"}}, windows=windows, shapes=SHAPES) as writer:
        for index in reversed(range(len(entries))):
            writer.write(index, written[index])
    return written


def test_embeddings_come_back_bit_for_bit_by_image_and_window(tmp_path: Path) -> None:
    entries = [("a", (0, 0, 5, 4)), ("b", (0, 0, 5, 4)), ("a", (1, 0, 3, 2)), ("b", (70_000, 0, 70_005, 4))]
    written = _embeddings(tmp_path / "e.h5", entries)
    with EmbeddingReader(tmp_path / "e.h5") as reader:
        assert len(reader) == 4
        assert reader.image_ids == ["a", "b", "a", "b"]
        assert reader.windows.tolist() == [list(window) for _, window in entries]
        assert reader.provenance == {"segmenter": {"id": "m"}}
        for index, ((name, window), expected) in enumerate(zip(entries, written, strict=True)):
            for found in (reader.find(name, window), reader.embedding(index)):
                assert [array.dtype for array in found] == [np.float16, np.float16]
                for array, other in zip(found, expected, strict=True):
                    np.testing.assert_array_equal(array, other)


@pytest.mark.parametrize(("name", "window"), [("c", (0, 0, 5, 4)), ("a", (0, 0, 4, 5)), ("b", (1, 0, 3, 2))])
def test_an_embedding_that_the_file_lacks_is_named(
    tmp_path: Path, name: str, window: tuple[int, int, int, int]
) -> None:
    _embeddings(tmp_path / "e.h5", [("a", (0, 0, 5, 4)), ("b", (0, 0, 5, 4)), ("a", (1, 0, 3, 2))])
    with EmbeddingReader(tmp_path / "e.h5") as reader, pytest.raises(DataError) as caught:
        reader.find(name, window)
    assert f"e.h5 has no embedding of {name} at {window}; delete it and run again" in str(caught.value)


def test_a_file_without_embeddings_is_whole(tmp_path: Path) -> None:
    _embeddings(tmp_path / "e.h5", [])
    with EmbeddingReader(tmp_path / "e.h5") as reader:
        assert (len(reader), reader.windows.shape) == (0, (0, 4))
        with pytest.raises(DataError, match="has no embedding of a"):
            reader.find("a", (0, 0, 5, 4))


@pytest.mark.parametrize(
    "wrong",
    [
        (np.zeros((4, 3, 2), np.float16), np.zeros(2, np.float16)),
        (np.zeros((4, 3, 3), np.float32), np.zeros(2, np.float16)),
        (np.zeros((4, 3, 3), np.float16),),
    ],
    ids=["shape", "number format", "count"],
)
def test_an_embedding_of_another_form_is_refused_and_nothing_is_left(
    tmp_path: Path, wrong: tuple[np.ndarray, ...]
) -> None:
    windows = np.array([(0, 0, 5, 4)])
    with (
        pytest.raises(ValueError, match=r"expected|argument"),
        EmbeddingWriter(tmp_path / "e.h5", ["a"], {}, windows=windows, shapes=SHAPES) as writer,
    ):
        writer.write(0, wrong)
    assert list(tmp_path.iterdir()) == []


def test_one_embedding_is_read_without_the_others(tmp_path: Path) -> None:
    _embeddings(tmp_path / "e.h5", [(str(index), (0, 0, 5, 4)) for index in range(5)])
    with h5py.File(tmp_path / "e.h5") as file:
        assert file["embedding0"].chunks == (1, *SHAPES[0])
        assert file["embedding1"].chunks == (1, *SHAPES[1])


def write_half_and_fail(path: Path) -> None:
    path.write_text("second, half-written")
    path.write_text(None)


def test_a_failing_writer_leaves_an_earlier_file_as_it_was(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "first")
    with pytest.raises(TypeError, match="must be str"), atomic_path(tmp_path / "a.txt") as temporary:
        write_half_and_fail(temporary)
    assert (tmp_path / "a.txt").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_what_a_killed_attempt_left_is_removed_by_the_next(tmp_path: Path) -> None:
    (tmp_path / ".a.txt.999.tmp").write_text("left by a killed job")
    write_text(tmp_path / "a.txt", "whole")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_file_is_read_though_somebody_locks_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some network disks keep the locks of a node that died."""
    monkeypatch.delenv("HDF5_USE_FILE_LOCKING", raising=False)
    path = tmp_path / "f.h5"
    tokens = _features(path, [(2, 2)])
    with path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(OSError, match="lock"):  # as HDF5 itself would have it
            h5py.File(path, "r", locking=True)
        with FeatureReader(path) as reader:
            np.testing.assert_array_equal(reader.patch_tokens(0), tokens[0])


@pytest.mark.parametrize("keep", [0, 1, 8, 100, 500, 0.5, 0.99])
def test_a_truncated_file_is_named_in_one_sentence(tmp_path: Path, keep: float) -> None:
    path = tmp_path / "f.h5"
    _features(path, [(4, 4)])
    content = path.read_bytes()
    path.write_bytes(content[: int(keep if keep >= 1 or keep == 0 else keep * len(content))])
    with pytest.raises(DataError, match=r"f\.h5 .*(not a readable HDF5 file|no feature file)"):
        FeatureReader(path)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    _features(tmp_path / "f.h5", [(2, 2)])
    with pytest.raises(DataError, match="is not a score file"):
        ScoreReader(tmp_path / "f.h5")
    h5py.File(tmp_path / "plain.h5", "w").close()
    with pytest.raises(DataError, match="no digest of its content"):
        FeatureReader(tmp_path / "plain.h5")
    append_digests(tmp_path / "plain.h5")
    with pytest.raises(DataError, match="is not a feature file"):
        FeatureReader(tmp_path / "plain.h5")
    with pytest.raises(DataError, match="is not a embedding file"):
        EmbeddingReader(tmp_path / "f.h5")
    with pytest.raises(DataError, match="does not exist"):
        MaskReader(tmp_path / "absent.h5")


def test_draws_come_back_bit_for_bit_and_other_files_are_refused(tmp_path: Path) -> None:
    draws = {"aupro": np.random.default_rng(0).normal(size=7), "mask_f1": np.array([np.nan, 1.0])}
    write_draws(tmp_path / "a.h5", draws, {"stage": "test", "seed": np.nan})
    found = read_draws(tmp_path / "a.h5")
    assert set(found) == set(draws)
    for name, values in draws.items():
        np.testing.assert_array_equal(found[name], values)
    with h5py.File(tmp_path / "a.h5") as file:
        assert json.loads(file.attrs["provenance"]) == {"stage": "test", "seed": None}
    _features(tmp_path / "features.h5", [(2, 2)])
    (tmp_path / "cut.h5").write_bytes((tmp_path / "a.h5").read_bytes()[:500])
    for name, words in (("features", "is not a draws file"), ("cut", "not a readable"), ("none", "does not exist")):
        with pytest.raises(DataError, match=words):
            read_draws(tmp_path / f"{name}.h5")


def test_json_is_strict_nan_is_null_and_keys_are_sorted(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": np.float32("nan"), "a": np.array([1, 2]), "c": [np.inf, np.int64(3)]})
    text = (tmp_path / "a.json").read_text()
    written = {"a": [1, 2], "b": None, "c": [None, 3]}
    assert {key: value for key, value in json.loads(text).items() if key != "digest"} == written
    assert text.index('"a"') < text.index('"b"')
    assert read_json(tmp_path / "a.json") == written
    (tmp_path / "a.json").write_text(text[:10])
    with pytest.raises(DataError, match="is not valid JSON"):
        read_json(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("old", "new"),
    [("0.25", "0.75"), ('"good"', '"gold"'), ('"digest"', '"digesu"'), ("null", "1.0"), ("[", "[NaN,"), ("true", "1")],
)
def test_a_changed_json_file_is_told_of(tmp_path: Path, old: str, new: str) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"share": 0.25, "name": "good", "nothing": np.nan, "list": [1, 2], "is": True})
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(DamagedFileError, match=r"a\.json (is damaged or was edited|is not a result of this version)"):
        read_json(path)


def test_a_json_file_may_be_laid_out_anew(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": 1.5, "a": [1, {"é": None}]})
    document = json.loads((tmp_path / "a.json").read_text())
    (tmp_path / "a.json").write_text(json.dumps(dict(reversed(document.items())), indent=4))
    assert read_json(tmp_path / "a.json") == {"a": [1, {"é": None}], "b": 1.5}


def test_a_disk_that_fails_is_no_sound_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _features(tmp_path / "f.h5", [(2, 2)])

    def fail(*_: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    with FeatureReader(tmp_path / "f.h5") as reader:
        monkeypatch.setattr(reader._bytes, "_is_checked", bytearray(1))
        monkeypatch.setattr("zsad.files.digests.os.preadv", fail)
        with pytest.raises(DamagedFileError, match=r"f\.h5 cannot be read \(.*Input/output error\)"):
            reader.check()


@pytest.mark.parametrize(
    "grids",
    [
        [(2, 2)] * 3,
        [(1, 1), (1, 600), (600, 1)],
        [(37, 37), (37, 49), (49, 37), (41, 43)],
        [(8, 8)] * 20 + [(8, 400)] * 2,
    ],
    ids=["alike", "one long, one high", "about alike", "two long among many"],
)
def test_files_of_features_and_scores_are_about_as_large_as_their_content(
    tmp_path: Path, grids: list[tuple[int, int]]
) -> None:
    tokens = _features(tmp_path / "f.h5", grids, channels=96)
    maps = [np.arange(rows * columns, dtype=np.float32).reshape(rows, columns) for rows, columns in grids]
    names = [str(index) for index in range(len(grids))]
    with ScoreWriter(tmp_path / "s.h5", names, {}, grid_sizes=np.array(grids), setting="few-shot-4") as writer:
        for index, anomaly_map in enumerate(maps):
            writer.write(index, anomaly_map, 1.0)
    fixed = 50_000
    assert (tmp_path / "f.h5").stat().st_size < 1.35 * sum(array.nbytes for array in tokens) + fixed
    assert (tmp_path / "s.h5").stat().st_size < 2.0 * sum(array.nbytes for array in maps) + fixed
    with FeatureReader(tmp_path / "f.h5") as features, ScoreReader(tmp_path / "s.h5") as scores:
        for index, (token, anomaly_map) in enumerate(zip(tokens, maps, strict=True)):
            np.testing.assert_array_equal(features.half_tokens(index), token)
            np.testing.assert_array_equal(scores.anomaly_map(index), anomaly_map)


def test_a_file_that_could_not_be_opened_can_be_closed(tmp_path: Path) -> None:
    """Python does so when it removes the object, and reports what goes wrong."""
    file = CheckedFile.__new__(CheckedFile)
    with pytest.raises(DataError, match="does not exist"):
        file.__init__(tmp_path / "absent.h5")
    file.close()
    assert file.closed
