"""The model file: what it says, what it keeps, and what is refused in its place."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from feature_files import random_tokens
from fitted_files import BACKBONE, fitted_file
from zsad.deciding.decide_images import decide_images
from zsad.deciding.reference_quantile import ReferenceQuantile
from zsad.deciding.suitable import Suitable
from zsad.errors import ConfigError, DamagedFileError, DataError
from zsad.files.digests import append_digests
from zsad.files.features import FeatureReader
from zsad.files.fitted import FittedWriter
from zsad.files.masks import MaskWriter
from zsad.interactive.written_tokens import written_tokens
from zsad.scoring.base import Scorer
from zsad.scoring.class_token_knn import ClassTokenKnn
from zsad.scoring.compute import Compute
from zsad.scoring.fitted import load_fitted
from zsad.scoring.gmm import GMM
from zsad.scoring.image_level import ImageScoring
from zsad.scoring.mahalanobis import Mahalanobis
from zsad.scoring.memory_bank import MemoryBank
from zsad.scoring.padim import Padim
from zsad.scoring.patchcore import PatchCore
from zsad.scoring.references import ReferenceScorer
from zsad.scoring.score_images import score_images
from zsad.scoring.self_similarity import SelfSimilarity
from zsad.scoring.subspace import Subspace
from zsad.scoring.token_source import MemoryTokens

MEGABYTE = 10**6
GRID = (6, 7)
PLAIN = Compute()
SHOTS = MemoryBank(shots=4, rotations=False)
SMOOTH = ImageScoring(smoothing=0.8, fraction=0.1)


def tokens(
    seed: int, count: int, split: str = "train", *, layers: Sequence[str] = ("8", "11"), channels: int = 6, **more: Any
) -> MemoryTokens:
    images = random_tokens(seed, *[GRID] * count, layers=len(layers), channels=channels)
    ids = [f"{split}/{number}.png" for number in range(count)]
    return MemoryTokens(images, image_ids=ids, layers=layers, provenance={"model": {"id": "toy"}, **more})


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return fitted_file(tmp_path / "model.h5", tokens(0, 4), SHOTS, PLAIN)


# --- what it says and keeps ---------------------------------------------------------------------------------------


def test_the_model_says_what_it_is_and_whence(tmp_path: Path) -> None:
    references = tokens(0, 4, view="original", subset="train", backbone={"resolution": 64}, white=4095)
    scorer = Mahalanobis(shots=4, regularisation=0.5)
    compute = Compute(precision="auto")
    given = {"stage": "fit_method", "versions": {"torch": "9"}}
    made = fitted_file(tmp_path / "m.h5", references, scorer, compute, image_scoring=SMOOTH, provenance=given)
    with load_fitted(made, PLAIN) as fitted:
        said = fitted.provenance
        assert fitted.scorer == scorer
        assert fitted.image_scoring == SMOOTH
        assert (fitted.layers, fitted.channels, fitted.cls_source) == (["8", "11"], 6, "mean of patch tokens")
        assert fitted.image_ids == references.image_ids
    assert {name: said[name] for name in ("dataset", "category", "method")} == {
        "dataset": "set",
        "category": "thing",
        "method": "way",
    }
    assert said["scorer"] == {"name": "mahalanobis", "params": scorer.parameters()}
    assert said["image_score"] == SMOOTH.parameters()
    assert said["backbone"] == BACKBONE
    assert said["model"] == {"id": "toy"}
    assert (said["precision"], said["number_format"], said["device"]) == ("auto", "float32", "cpu")
    assert (said["layers"], said["channels"], said["view"]) == (["8", "11"], 6, "original")
    assert said["references"] == {
        "image_ids": references.image_ids,
        "model": {"id": "toy"},
        "subset": "train",
        "view": "original",
        "backbone": {"resolution": 64},
        "white": 4095,
    }
    assert said["software"] == {"torch": "9"}
    assert said["stage"] == "fit_method"
    assert said["without_evidence"] == ""
    assert said["seconds"] > 0
    assert said["evidence_seconds"] > 0
    assert "segmenter" not in said


def test_an_object_is_outlined_for_the_references_and_said_how(tmp_path: Path) -> None:
    references = tokens(0, 3)
    with MaskWriter(tmp_path / "masks.h5", references.image_ids, {"segmenter": {"id": "sam"}, "options": {}}) as writer:
        for _ in references.image_ids:
            mask = np.zeros((60, 70), bool)
            mask[:, 40:] = True
            writer.append(mask, 0.5, [{"accepted": True, "reason": "sure"}])
    scorer = MemoryBank(shots=3, rotations=False, foreground="sam")
    made = fitted_file(
        tmp_path / "model.h5",
        references,
        scorer,
        PLAIN,
        foregrounds={"references": tmp_path / "masks.h5"},
        segmenter={"name": "sam_base"},
        segmentation={"least_value": 0.2},
    )
    with load_fitted(made, PLAIN) as fitted:
        assert all(not found[:, :2].any() and found[:, 4:].all() for found in fitted.reference_maps)
        assert fitted.provenance["segmenter"] == {"name": "sam_base"}
        assert fitted.provenance["foreground"] == {"least_value": 0.2}
        assert fitted.provenance["references"]["foreground"] == {"segmenter": {"id": "sam"}, "options": {}}


def test_masks_of_references_are_all_there_or_not_asked_for(tmp_path: Path) -> None:
    scorer = MemoryBank(shots=3, rotations=False, foreground="sam")
    with pytest.raises(ValueError, match="the scorer reads masks of"):
        fitted_file(tmp_path / "model.h5", tokens(0, 3), scorer, PLAIN)
    with MaskWriter(tmp_path / "masks.h5", ["train/0.png"], {}) as writer:
        writer.append(np.ones((6, 7), bool), 0.5, [{"accepted": True, "reason": ""}])
    masks = {"references": tmp_path / "masks.h5"}
    with pytest.raises(DataError, match=r"masks\.h5 has no masks of 2 images in .*, first 'train/1\.png'"):
        fitted_file(tmp_path / "model.h5", tokens(0, 3), scorer, PLAIN, foregrounds=masks)
    with pytest.raises(ValueError, match="the scorer reads masks of"):
        fitted_file(tmp_path / "model.h5", tokens(0, 3), SHOTS, PLAIN, foregrounds=masks)
    assert not (tmp_path / "model.h5").exists()
    with load_fitted(fitted_file(tmp_path / "one.h5", tokens(0, 1), scorer, PLAIN), PLAIN) as fitted:
        assert not fitted.has_evidence


@pytest.mark.parametrize("count", [2, 4, 7])
@pytest.mark.parametrize(
    "scorer", [SHOTS, Subspace(shots=4), ClassTokenKnn(shots=4)], ids=lambda each: type(each).__name__
)
def test_the_scores_of_the_references_are_kept_to_the_bit(scorer: ReferenceScorer, count: int, tmp_path: Path) -> None:
    references = tokens(0, count)
    made = fitted_file(tmp_path / "model.h5", references, scorer, PLAIN, image_scoring=SMOOTH)
    expected = [SMOOTH.complete(score) for score in scorer.score_references({"references": references}, PLAIN)]
    with load_fitted(made, PLAIN) as fitted:
        assert fitted.reference_ids == [references.image_ids[score.index] for score in expected]
        assert fitted.reference_scores.tolist() == [score.image_score for score in expected]
        maps = [score.anomaly_map for score in expected if score.anomaly_map is not None]
        assert [found.tobytes() for found in fitted.reference_maps] == [each.tobytes() for each in maps]
        assert [found.shape for found in fitted.reference_maps] == [each.shape for each in maps]


@pytest.mark.parametrize(
    ("scorer", "count", "reason"),
    [
        (SHOTS, 1, "needs at least 2 of them, but there is 1"),
        (GMM(), 3, "needs at least 3 references"),
        (ClassTokenKnn(shots=4, k=4), 4, "fewer than k = 4"),
        (MemoryBank(shots=2, rotations=False, coreset=1e-6, k=2), 2, "fewer than k = 2"),
    ],
    ids=["one reference", "too few in a fold", "too few neighbours", "too small a coreset in a fold"],
)
def test_too_few_references_to_score_any_are_reported_and_the_model_is_made(
    scorer: ReferenceScorer, count: int, reason: str, tmp_path: Path
) -> None:
    compute = Compute(memory=1)  # a coreset of each reference
    made = fitted_file(tmp_path / "model.h5", tokens(0, count), scorer, compute)
    test = written_tokens(tokens(1, 2, "test"), tmp_path / "test.h5")
    with load_fitted(made, compute) as fitted:
        assert not fitted.has_evidence
        assert reason in fitted.provenance["without_evidence"]
        assert all(np.isfinite(score.image_score) for score in fitted.score(tokens(1, 2, "test")))
    scores, decisions = scored(test, made, scorer, compute=compute), tmp_path / "decisions.h5"
    with pytest.raises(DataError, match=reason):
        decide_images(scores=scores, model=made, rule=ReferenceQuantile(), output=decisions, provenance={})
    assert not decisions.exists()
    decide_images(scores=scores, model=made, rule=Suitable(), output=decisions, provenance={})


@pytest.mark.parametrize("scorer", [GMM(), ClassTokenKnn(shots=8, k=5), MemoryBank(layers=("9",))], ids=str)
def test_references_that_do_not_do_leave_no_model(scorer: ReferenceScorer, tmp_path: Path) -> None:
    with pytest.raises((DataError, ConfigError)):
        fitted_file(tmp_path / "model.h5", tokens(0, 2), scorer, PLAIN)
    assert [path.name for path in tmp_path.iterdir()] == ["model-references.h5"]


@pytest.mark.parametrize(
    ("scorer", "grid"),
    [(MemoryBank(shots=30, rotations=False), (20, 30)), (Mahalanobis(shots=30, per_position=True), (12, 25))],
    ids=["image by image", "position by position"],
)
def test_a_fit_is_stored_piece_by_piece(scorer: ReferenceScorer, grid: tuple[int, int], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = [rng.normal(size=(2, *grid, 60)).astype(np.float16) for _ in range(30)]
    references = MemoryTokens(images, image_ids=[f"train/{number}.png" for number in range(30)])
    features = written_tokens(references, tmp_path / "features.h5")
    compute = Compute(memory=MEGABYTE)
    del images, references
    tracemalloc.start()
    with (
        FeatureReader(features) as reader,
        FittedWriter(tmp_path / "m.h5", reader.image_ids, {}, layers=["0", "1"], channels=60, cls_source="") as writer,
    ):
        scorer.store(scorer.fit(reader, range(30), compute), writer)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 0.7 * (tmp_path / "m.h5").stat().st_size  # of which the digests of the file take 2 MB


# --- what does not fit together -----------------------------------------------------------------------------------


def scored(
    test: Path,
    model: Path | None,
    scorer: Scorer,
    *,
    compute: Compute = PLAIN,
    image_scoring: ImageScoring | None = None,
    **more: Any,
) -> Path:
    output = test.with_name("scores.h5")
    score_images(
        features={"test": test, **more},
        scorer=scorer,
        image_scoring=image_scoring or ImageScoring(),
        compute=compute,
        output=output,
        provenance={},
        model=model,
    )
    return output


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (tokens(1, 2, "test", layers=("8", "10")), "layers"),
        (tokens(1, 2, "test", channels=5), "channels"),
        (tokens(1, 2, "test", model={"id": "other"}), "model"),
        (tokens(1, 2, "test", backbone={"resolution": 65}), "backbone"),
        (MemoryTokens([np.ones((2, *GRID, 6))], np.ones((1, 2, 6)), layers=("8", "11")), "cls_source"),
    ],
    ids=["layers", "channels", "model", "options", "class tokens"],
)
def test_features_of_another_backbone_are_one_sentence(other: MemoryTokens, named: str, tmp_path: Path) -> None:
    references = tokens(0, 4, backbone={"resolution": 64})
    made = fitted_file(tmp_path / "model.h5", references, SHOTS, PLAIN)
    expected = rf"model\.h5 come from different backbones \({named}: .*\)"
    with load_fitted(made, PLAIN) as fitted, pytest.raises(DataError, match=expected):
        fitted.check(other)
    with pytest.raises(DataError, match=expected):
        scored(written_tokens(other, tmp_path / "test.h5"), made, SHOTS)
    with load_fitted(made, PLAIN) as fitted:
        fitted.check(tokens(1, 2, "test", backbone={"resolution": 64}))
        fitted.check(tokens(1, 2, "test"))  # which does not say of what options it is


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({"scorer": Subspace(shots=4)}, "scorer"),
        ({"scorer": MemoryBank(shots=4, rotations=False, k=2)}, "scorer"),
        ({"image_scoring": SMOOTH}, "image_score"),
        ({"compute": Compute(precision="bfloat16")}, "precision"),
    ],
    ids=["scorer", "parameter", "image score", "number format"],
)
def test_a_model_of_another_method_is_refused(asked: dict[str, Any], named: str, model: Path, tmp_path: Path) -> None:
    test = written_tokens(tokens(1, 2, "test"), tmp_path / "test.h5")
    with pytest.raises(DamagedFileError, match=rf"model\.h5 is the model of another method: its {named} differs"):
        scored(test, model, **{"scorer": SHOTS, **asked})
    assert not (tmp_path / "scores.h5").exists()
    scored(test, model, SHOTS, compute=Compute(precision="auto"))  # which is the same as float32


def test_a_model_too_few_or_too_many_is_a_programming_error(model: Path, tmp_path: Path) -> None:
    test = written_tokens(tokens(1, 2, "test"), tmp_path / "test.h5")
    with pytest.raises(ValueError, match="a model is missing"):
        scored(test, None, SHOTS)
    with pytest.raises(ValueError, match=r"reads \['test'\], but \['references', 'test'\] were given"):
        scored(test, model, SHOTS, references=test)
    with pytest.raises(ValueError, match="a model is not used by the scorer"):
        scored(test, model, SelfSimilarity())


# --- damage and foreign files -------------------------------------------------------------------------------------

Change = Callable[[h5py.File], None]


def replaced(name: str, content: Any, **options: Any) -> Change:
    def change(file: h5py.File) -> None:
        if name in file:
            del file[name]
        file.create_dataset(name, data=content, **options)

    return change


def without(name: str) -> Change:
    return lambda file: file.pop(name)


def attribute(name: str, value: Any) -> Change:
    return lambda file: file.attrs.__setitem__(name, value)


def said(**changes: Any) -> Change:
    def change(file: h5py.File) -> None:
        provenance = {**json.loads(file.attrs["provenance"]), **changes}
        file.attrs["provenance"] = json.dumps(provenance)

    return change


def claimed(name: str, **options: Any) -> Change:
    """Claim an array of a petabyte that takes no space."""

    def change(file: h5py.File) -> None:
        del file[name]
        file.create_dataset(name, shape=(10**15,), dtype=np.float16, **options)

    return change


def linked(name: str, link: Any) -> Change:
    def change(file: h5py.File) -> None:
        del file[name]
        file[name] = link

    return change


HOSTILE: dict[str, tuple[Change, str]] = {
    "another version": (attribute("format", "zsad-model-0"), r"is no model file \(format 'zsad-model-0'"),
    "features": (attribute("format", "zsad-features-2"), "is not a model file"),
    "external link": (linked("fit/patch_tokens", h5py.ExternalLink("/etc/passwd", "/x")), "patch_tokens is a link"),
    "soft link": (linked("fit/patch_tokens", h5py.SoftLink("/fit/grid_size")), "patch_tokens is a link"),
    "linked evidence": (linked("evidence", h5py.ExternalLink("/etc/passwd", "/x")), "evidence is a link"),
    "group in a group": (lambda file: file.create_group("fit/deep"), "deep is not a dataset"),
    "pickle": (replaced("fit/patch_tokens", np.void(b"\x80\x04cos\nsystem\n.")), "is not an array of numbers"),
    "text": (replaced("fit/patch_tokens", ["x"], dtype=h5py.string_dtype()), "is not an array of numbers"),
    "records": (replaced("fit/patch_tokens", np.zeros(3, [("a", "f4")])), "is not an array of numbers"),
    "arrays of any length": (
        replaced("fit/patch_tokens", np.empty(0, object), dtype=h5py.vlen_dtype(np.float32)),
        "is not an array of numbers",
    ),
    "references": (
        replaced("fit/patch_tokens", np.empty(0, object), dtype=h5py.ref_dtype),
        "is not an array of numbers",
    ),
    "petabyte of nothing": (claimed("fit/patch_tokens"), "patch_tokens has no content"),
    "petabyte in chunks": (claimed("fit/patch_tokens", chunks=(1000,)), "is not an array of numbers"),
    "petabyte of maps": (claimed("evidence/anomaly_map", chunks=(1000,)), "is not an array of"),
    "packed": (replaced("fit/patch_tokens", np.zeros(9999), compression="gzip"), "is not an array of numbers"),
    "no fit": (without("fit"), "is not a readable HDF5 file"),
    "no array": (without("fit/patch_tokens"), "it has no 'patch_tokens'"),
    "short array": (replaced("fit/patch_tokens", np.zeros(3, np.float16)), "'patch_tokens' is float16"),
    "array of another type": (replaced("fit/grid_size", np.ones((4, 2))), "'grid_size' is float64"),
    "other grids": (replaced("fit/grid_size", np.full((4, 2), 9, np.int32)), "'patch_tokens' is float16"),
    "grids below zero": (replaced("fit/grid_size", np.full((4, 2), -6, np.int32)), "grids are not possible"),
    "other channels": (attribute("channels", 10**12), "'patch_tokens' is float16"),
    "channels as text": (attribute("channels", "six"), "is not a readable HDF5 file"),
    "other layers": (attribute("layers", ["8"]), "'patch_tokens' is float16"),
    "fewer scores than references": (replaced("evidence/image_score", np.zeros(2)), "not match its references"),
    "scores that are not finite": (replaced("evidence/image_score", np.full(4, np.nan)), "not finite"),
    "other maps": (replaced("evidence/anomaly_map", np.zeros(3, np.float32)), "not match its maps"),
    "no method": (said(scorer=None), "its provenance has no 'scorer'"),
    "half a method": (said(scorer={"name": "memory_bank"}), "names no method"),
    "method of a future version": (
        said(scorer={"name": "oracle", "params": {}}),
        "is of a method that this version of zsad does not have",
    ),
    "parameter of a future version": (
        said(scorer={"name": "memory_bank", "params": {"depth": 3}}),
        "is of a method that this version of zsad does not have",
    ),
    "method without references": (said(scorer={"name": "mutual", "params": {}}), "is not fitted to references"),
    "other method": (said(scorer={"name": "subspace", "params": {}}), "it has no 'mean'"),
    "other parameters": (said(scorer={"name": "memory_bank", "params": {"coreset": 0.5}}), "it has no 'centres'"),
    "no references": (said(references=["train/0.png"]), "its provenance has no 'references'"),
    "number format of a GPU": (said(precision="float16"), "cannot be used here .*'float16' is not for CPUs"),
    "number format of nobody": (said(precision="float3"), "its provenance has no 'precision'"),
    "list in place of provenance": (attribute("provenance", "[]"), "its provenance has no 'scorer'"),
    "no number format": (said(precision=7), "its provenance has no 'precision'"),
    "text in place of provenance": (attribute("provenance", "{"), "is not a readable HDF5 file"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_no_fit_wrote_is_one_sentence(name: str, model: Path) -> None:
    change, expected = HOSTILE[name]
    with h5py.File(model, "r+") as file:
        change(file)
    append_digests(model)
    with pytest.raises(DataError, match=expected) as told:
        load_fitted(model, PLAIN)
    assert str(model) in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("scorer", "name"),
    [
        (Subspace(shots=4), "basis"),
        (Mahalanobis(shots=4), "whitening_columns"),
        (Mahalanobis(shots=4, per_position=True), "axes"),
        (Mahalanobis(shots=4, per_position=True), "epsilon"),
        (MemoryBank(shots=4, coreset=0.5), "points1"),
        (PatchCore(shots=4), "points0"),
        (PatchCore(shots=4), "unit"),
        (Padim(shots=4), "epsilon"),
        (ClassTokenKnn(shots=4), "points"),
        (GMM(), "precisions_cholesky"),
        (GMM(), "means"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
@pytest.mark.parametrize("fault", ["missing", "other shape", "not finite"])
def test_every_array_of_a_fit_is_checked(scorer: ReferenceScorer, name: str, fault: str, tmp_path: Path) -> None:
    model = fitted_file(tmp_path / "model.h5", tokens(0, 4), scorer, PLAIN)
    with h5py.File(model, "r+") as file:
        content = file[f"fit/{name}"][()]
        del file[f"fit/{name}"]
        if fault == "other shape":
            file[f"fit/{name}"] = content[..., None]
        elif fault == "not finite":
            file[f"fit/{name}"] = np.full_like(content, np.nan)
    append_digests(model)
    if fault == "not finite" and name == "axes":
        return  # as much as that is read piece by piece, and a score that is not finite is refused
    with pytest.raises(DamagedFileError, match=r"model\.h5 is no model that this version of zsad makes"):
        load_fitted(model, PLAIN)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.8, 0.999])
def test_a_flipped_bit_is_found_before_a_score_is_made(share: float, model: Path) -> None:
    content = bytearray(model.read_bytes())
    content[int(share * len(content))] ^= 1
    model.write_bytes(content)
    with pytest.raises(DamagedFileError, match=r"is (damaged|not a readable)"):
        asked_and_checked(model)


def asked_and_checked(model: Path) -> None:
    with load_fitted(model, PLAIN) as fitted:
        list(fitted.score(tokens(1, 1, "test")))
        fitted._reader.check()


@pytest.mark.parametrize("content", [b"", b"no model", b"\x89HDF\r\n\x1a\n" + bytes(5000), b"\x80\x04N."])
def test_a_foreign_file_is_one_sentence(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "photograph.jpg").write_bytes(content)
    with pytest.raises(DamagedFileError, match=r"photograph\.jpg is not a readable HDF5 file"):
        load_fitted(tmp_path / "photograph.jpg", PLAIN)
    with pytest.raises(DataError, match="does not exist"):
        load_fitted(tmp_path / "none.h5", PLAIN)
    with pytest.raises(DataError, match="is a folder"):
        load_fitted(tmp_path, PLAIN)


def test_only_numbers_are_written(tmp_path: Path) -> None:
    with FittedWriter(tmp_path / "m.h5", ["a"], {}, layers=["0"], channels=3, cls_source="class token") as writer:
        for content in (np.array(["text"]), np.array([object()]), np.zeros((3, 0))):
            with pytest.raises(ValueError, match="is not an array of numbers"):
                writer.write("thing", content)
