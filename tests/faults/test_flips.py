"""A byte that changes in a result file, wherever it is, is noticed when the file is read, or changes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from feature_files import random_tokens, write_features
from zsad.data.image_list import ListedImage, read_image_list, write_images
from zsad.data.manifest import ImageRecord, read_manifest, write_manifest
from zsad.data.readings import Reading, read_unreadable, write_unreadable
from zsad.deciding.base import Evidence, Verdicts
from zsad.errors import DataError
from zsad.files.checksums import require_unchanged, write_checksums
from zsad.files.classified import QUERY, SUPPORT, Classified, ClassifiedReader, ClassifiedWriter, DrawInfo, Exemplar
from zsad.files.csv_files import read_table, write_table
from zsad.files.decisions import DecisionReader, DecisionWriter
from zsad.files.draws import read_draws, write_draws
from zsad.files.embeddings import EmbeddingReader, EmbeddingWriter
from zsad.files.features import FeatureReader
from zsad.files.fitted import FittedReader, FittedWriter
from zsad.files.json_files import read_json, write_json
from zsad.files.masks import MaskReader, MaskWriter
from zsad.files.scores import ScoreReader, ScoreWriter
from zsad.files.texts import TextReader, TextWriter

FLIPS = 2000  # of each kind of file
PROVENANCE = {"stage": "test", "params": {"k": 3}, "seconds": 0.5}
GRIDS = ((3, 4), (3, 4), (5, 2))
NAMES = ["test/good/0.png", "test/crack/é 1.png", "test/crack/2.png"]


class Kind(NamedTuple):
    """A kind of result file: how one is written, and all that is read of it."""

    write: Callable[[Path], object]
    read: Callable[[Path], Any]


def write_scores(path: Path) -> None:
    rng = np.random.default_rng(1)
    with ScoreWriter(path, NAMES, PROVENANCE, grid_sizes=np.array(GRIDS), setting="few-shot-4") as writer:
        for index, grid in enumerate(GRIDS):
            writer.write(index, rng.random(grid), float(index), seconds=0.1, note="" if index else "not symmetric")


def write_verdicts(path: Path) -> None:
    evidence = Evidence([np.full((2, 3), peak, np.float32) for peak in (0.2, 0.9, 0.4)], np.zeros(3))
    verdicts = Verdicts(
        evidence, 0.5, 0.3, significance=[0.5, 0.1, 0.2], measure="p_value", nominal=0.1, remarks=["é."]
    )
    with DecisionWriter(path, NAMES, PROVENANCE) as writer:
        writer.write(verdicts, evidence.peaks, rule="conformal", localises=True)


def write_kinds(path: Path) -> None:
    rng = np.random.default_rng(5)
    is_query = np.array([[True], [False], [True]])
    said = Classified(
        roles=np.array([QUERY, SUPPORT, QUERY], np.uint8),
        scores=np.where(is_query, rng.random((3, 1)), np.nan),
        probabilities=np.where(is_query, 1.0, np.nan),
        p_values=np.where(is_query, 0.5, np.nan),
        in_set=is_query,
        nearest=np.where(is_query, 0, -1).astype(np.int32),
        similarity=np.where(is_query, rng.random((3, 1)), np.nan),
    )
    draws = [DrawInfo(seed, 1, "few-shot-defects-1", [1], [0], ["é."]) for seed in (0, 7)]
    exemplars = [Exemplar("test", NAMES[1], "crack")]
    with ClassifiedWriter(
        path, NAMES, PROVENANCE, kinds=["crack"], exemplars=exemplars, draws=draws, alpha=0.1, regions="image"
    ) as writer:
        for index in range(len(draws)):
            writer.write(index, said)


def write_masks(path: Path) -> None:
    rng = np.random.default_rng(2)
    with MaskWriter(path, NAMES, PROVENANCE) as writer:
        for index in range(len(NAMES)):
            writer.append(rng.random((20, 30 + index)) > 0.7, float(index), [{"box": [0, 1, 2, 3], "score": 0.5}])


def write_texts(path: Path) -> None:
    embeddings = np.random.default_rng(6).normal(size=(3, 20)).astype(np.float32)
    sentences = ["a sound part", "a torn part", "é."]
    with TextWriter(path, PROVENANCE, sentences=sentences, states=[0, 1, 1], embeddings=embeddings, patch_part=(4, 20)):
        pass


def texts_of(path: Path) -> Any:
    with TextReader(path) as file:
        arrays = [array.tobytes() for array in (file.states, file.embeddings)]
        return file.sentences, arrays, file.patch_part, file.provenance


def write_embeddings(path: Path) -> None:
    rng = np.random.default_rng(3)
    windows = np.array([(0, 0, 8, 8)] * len(NAMES))
    with EmbeddingWriter(path, NAMES, PROVENANCE, windows=windows, shapes=[(4, 3, 3), (2,)]) as writer:
        for index in range(len(NAMES)):
            writer.write(index, [rng.random(shape).astype(np.float16) for shape in writer.shapes])


def features_of(path: Path) -> Any:
    with FeatureReader(path) as file:
        tokens = [file.half_tokens(index).tobytes() for index in range(len(file))]
        return (
            file.image_ids,
            file.layers,
            file.provenance,
            file.grid_sizes.tolist(),
            file.cls_tokens().tobytes(),
            tokens,
        )


def scores_of(path: Path) -> Any:
    with ScoreReader(path) as file:
        maps = [file.anomaly_map(index).tobytes() for index in range(len(file))]
        told = file.setting, file.localises, file.notes, file.seconds.tobytes()
        return file.image_ids, file.provenance, file.image_scores.tobytes(), maps, told


def verdicts_of(path: Path) -> Any:
    with DecisionReader(path) as file:
        columns = (file.peaks, file.pixel, file.region, file.significance, file.decided)
        told = file.rule, file.measure, file.nominal, file.localises, list(file.remarks)
        return file.image_ids, file.provenance, [column.tobytes() for column in columns], told


def kinds_of(path: Path) -> Any:
    with ClassifiedReader(path) as file:
        told = file.kinds, file.exemplars, file.draws, file.alpha, file.regions
        draws = [[values.tobytes() for values in file.draw(index)] for index in range(len(file.draws))]
        return file.image_ids, file.provenance, told, draws


def masks_of(path: Path) -> Any:
    with MaskReader(path) as file:
        masks = [(file.mask(index).tobytes(), file.regions(index)) for index in range(len(file))]
        return file.image_ids, file.provenance, file.sizes.tolist(), file.mask_scores.tobytes(), masks


def embeddings_of(path: Path) -> Any:
    with EmbeddingReader(path) as file:
        arrays = [[array.tobytes() for array in file.embedding(index)] for index in range(len(file))]
        return file.image_ids, file.provenance, file.windows.tolist(), arrays


def write_model(path: Path) -> None:
    rng = np.random.default_rng(4)
    origin = {"layers": ["8", "11"], "channels": 3, "cls_source": "class token"}
    with FittedWriter(path, NAMES, PROVENANCE, **origin) as writer:
        writer.write("mean", rng.random(3))
        writer.reserve("points", (4, 30, 3), np.float16)
        for index in range(4):
            writer.write_part("points", index, rng.random((30, 3)).astype(np.float16))
        writer.write_evidence(NAMES, [rng.random(grid).astype(np.float32) for grid in GRIDS], rng.random(3))


def model_of(path: Path) -> Any:
    with FittedReader(path) as file:
        arrays = file.array("mean", np.float64, (3,)).tobytes(), file.array("points", np.float16, (4, 30, 3)).tobytes()
        maps = [anomaly_map.tobytes() for anomaly_map in file.reference_maps]
        origin = file.image_ids, file.provenance, file.layers, file.channels, file.cls_source
        return origin, arrays, file.reference_ids, maps, file.reference_scores.tobytes()


def write_list(path: Path) -> None:
    write_images(path, [ListedImage(name, f"set/{name}", "test", 32, 40, "ab" * 32) for name in NAMES])


def write_labels(path: Path) -> None:
    known = [("good", 0, ""), ("crack", 1, "set/mask.png"), ("", None, "")]
    write_manifest(
        path,
        [
            ImageRecord(name, f"set/{name}", "test", label, defect, mask, 32, 40, "ab" * 32)
            for name, (defect, label, mask) in zip(NAMES, known, strict=True)
        ],
    )


def write_failures(path: Path) -> None:
    write_unreadable(path, [Reading(Path(name), failure=f"{name} is cut off; replace it") for name in NAMES])


def write_figures(path: Path) -> None:
    columns = ("category", "method", "auroc")
    write_table(
        path, columns, [dict(zip(columns, ("=tile", name, "0.9375"), strict=True)) for name in NAMES], ("auroc",)
    )
    write_checksums(sums_of(path), [path])


def sums_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def figures_of(path: Path) -> Any:
    require_unchanged([path], sums_of(path))
    return read_table(path)


def draws_of(path: Path) -> Any:
    return {name: values.tobytes() for name, values in read_draws(path).items()}


def write_features_of_mixed_sizes(path: Path) -> None:
    write_features(path, random_tokens(0, *GRIDS), NAMES, **PROVENANCE)


def write_features_in_small_blocks(path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("zsad.files.digests.BLOCK", 300)
        write_features(path, random_tokens(0, *GRIDS, channels=200), NAMES, **PROVENANCE)


DRAWS = {"aupro": np.linspace(0.0, 1.0, 40), "image_auroc": np.full(40, np.nan)}
EVALUATION = {
    "image_auroc": 0.9375,
    "limits": [0.25, -1e-3],
    "curves": {"roc": [[0.0, 0.5], [1.0, None]]},
    "category": "tile",
    "is_labelled": True,
    "provenance": PROVENANCE,
}
KINDS = {
    "features": Kind(write_features_of_mixed_sizes, features_of),
    "features of many blocks": Kind(write_features_in_small_blocks, features_of),
    "texts": Kind(write_texts, texts_of),
    "embeddings": Kind(write_embeddings, embeddings_of),
    "model": Kind(write_model, model_of),
    "scores": Kind(write_scores, scores_of),
    "decisions": Kind(write_verdicts, verdicts_of),
    "classification": Kind(write_kinds, kinds_of),
    "masks": Kind(write_masks, masks_of),
    "draws": Kind(lambda path: write_draws(path, DRAWS, PROVENANCE), draws_of),
    "list of images": Kind(write_list, read_image_list),
    "manifest": Kind(write_labels, read_manifest),
    "list of unreadable images": Kind(write_failures, read_unreadable),
    "table": Kind(write_figures, figures_of),
    "json": Kind(lambda path: write_json(path, EVALUATION), read_json),
}


def read_or_complaint(kind: Kind, path: Path) -> Any:
    """What is read, or the sentence that says why not."""
    try:
        return kind.read(path)
    except DataError as error:
        return str(error)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_flipped_byte_is_noticed_or_changes_nothing(tmp_path: Path, kind: Kind) -> None:
    path = tmp_path / "result"
    kind.write(path)
    written, size = kind.read(path), path.stat().st_size
    rng = np.random.default_rng(0)
    noticed = 0
    with path.open("rb+", buffering=0) as file:
        for place in rng.integers(0, size, FLIPS).tolist():
            before = os.pread(file.fileno(), 1, place)
            os.pwrite(file.fileno(), bytes([before[0] ^ int(rng.integers(1, 256))]), place)
            found = read_or_complaint(kind, path)
            noticed += found != written
            assert found == written or f"{path} " in found, f"byte {place} of {size}"
            os.pwrite(file.fileno(), before, place)
    assert kind.read(path) == written
    assert noticed > FLIPS / 2
