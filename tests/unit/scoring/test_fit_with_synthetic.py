"""Fits that learn from images made from their references: which of these a fit sees, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from snakemake.iocontainers import InputFiles

import zsad
from feature_files import write_features
from fitted_files import fit_to_file
from learning_toys import BACKBONE, CHANNELS, GRID, SYNTHETIC, Drift, digest, planted, toys
from zsad.adaptation.origins import write_origins
from zsad.data.manifest import ImageRecord, write_manifest
from zsad.data.masks import mask_sha256
from zsad.errors import ArrayError, DamagedFileError, DataError
from zsad.files.fitted import FittedReader
from zsad.files.learned import from_bytes
from zsad.scoring.compute import Compute
from zsad.scoring.fit_method import SyntheticFiles, synthetic_files
from zsad.scoring.fitted import load_fitted

pytestmark = pytest.mark.usefixtures("toys")
__all__ = ["toys"]
PLAIN = Compute()
LEARNER = Drift(shots=4, by_synthetic=True)
NAMES = [f"train/{index}.png" for index in range(4)]
FROM = [(NAMES[0],), (NAMES[1], NAMES[0]), (NAMES[2], NAMES[3]), (NAMES[1],), (NAMES[3],)]


def made(folder: Path, **provenance: Any) -> SyntheticFiles:
    """Five synthetic images of four references, of which two show something of another one."""
    names = [f"{place:04d}.cutpaste.png" for place in range(len(FROM))]
    tokens, masks = planted(3, [1] * len(FROM))
    records = []
    for name, mask in zip(names, masks, strict=True):
        assert mask is not None
        path = folder / f"mask-{name}"
        cv2.imwrite(str(path), 255 * mask.astype(np.uint8))
        size = (2 * GRID[0], 2 * GRID[1])
        told = ("cutpaste", str(path), *size, digest("made", name), mask_sha256(path))
        records.append(ImageRecord(name, f"/made/{name}", "test", 1, *told))
    files = SyntheticFiles(folder / "synthetic.h5", folder / "of_made.csv", folder / "made_from.csv")
    write_features(files.features, tokens, names, names=["last"], **{**BACKBONE, "subset": SYNTHETIC, **provenance})
    write_manifest(files.manifest, records)
    write_origins(files.origins, dict(zip(names, FROM, strict=True)))
    return files


def referred(folder: Path) -> Path:
    return write_features(folder / "references.h5", planted(5, [0] * 4)[0], NAMES, names=["last"], **BACKBONE)


def test_a_fit_to_all_references_sees_all_and_one_to_some_what_is_made_of_these_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[list[int], int]] = []
    fit = Drift.fit

    def told(self: Drift, references: Any, indices: Any, compute: Compute) -> Any:
        model = fit(self, references, indices, compute)
        seen.append((list(indices), model.facts["made"]))
        return model

    monkeypatch.setattr(Drift, "fit", told)
    model = fit_to_file(tmp_path / "m.h5", referred(tmp_path), LEARNER, PLAIN, synthetic=made(tmp_path))
    assert seen == [([0, 1, 2, 3], 5), ([1, 3], 2), ([0, 2], 1)]  # then in two folds
    with load_fitted(model, PLAIN) as fitted:
        assert len(fitted.reference_ids) == 4
        assert fitted.provenance["synthetic"] == {"subset": SYNTHETIC, "model": {"id": "toy"}, "images": 5}
    with FittedReader(model) as reader:
        learned = from_bytes(reader.array("weights", np.uint8, (None,)).tobytes(), model)
    assert learned.tensors["mean"].shape == (CHANNELS,)


def test_synthetic_images_of_another_backbone_are_refused(tmp_path: Path) -> None:
    files = made(tmp_path, backbone={"resolution": 32})
    with pytest.raises(DataError, match=r"synthetic\.h5 come from different backbones \(resolution: 64 and 32\)"):
        fit_to_file(tmp_path / "m.h5", referred(tmp_path), LEARNER, PLAIN, synthetic=files)
    assert not (tmp_path / "m.h5").exists()


def test_a_mask_that_is_gone_has_all_synthetic_images_made_anew(tmp_path: Path) -> None:
    files = made(tmp_path)
    next(tmp_path.glob("mask-*.png")).unlink()
    with pytest.raises(DamagedFileError) as caught:
        fit_to_file(tmp_path / "m.h5", referred(tmp_path), LEARNER, PLAIN, synthetic=files)
    assert caught.value.path == files.manifest


@pytest.mark.parametrize(("scorer", "given"), [(LEARNER, False), (Drift(shots=4), True)])
def test_missing_and_unasked_synthetic_images_are_a_mistake_of_the_program(
    tmp_path: Path, scorer: Drift, given: bool
) -> None:
    files = made(tmp_path) if given else None
    with pytest.raises(ValueError, match=r"synthetic images are (missing|not used by the scorer)"):
        fit_to_file(tmp_path / "m.h5", referred(tmp_path), scorer, PLAIN, synthetic=files)


def test_inputs_of_a_job_are_distinguished() -> None:
    inputs = {"references": "r.h5", "synthetic": "s.h5", "synthetic_manifest": "m.csv", "synthetic_origins": "o.csv"}
    assert synthetic_files(InputFiles(fromdict=inputs)) == SyntheticFiles(Path("s.h5"), Path("m.csv"), Path("o.csv"))
    assert synthetic_files(InputFiles(fromdict={"references": "r.h5"})) is None


def test_photographs_in_a_notebook_are_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("learning_toys.CHANNELS", 33)
    rng = np.random.default_rng(0)
    good = [rng.integers(0, 255, (64, 64, 3), dtype=np.uint8) for _ in range(4)]
    seen = {"backbone": "embedded", "backbone_params": {"resolution": 64}}
    model = zsad.fit(tmp_path / "m.h5", good, "drift", {"by_synthetic": True}, **seen)
    with FittedReader(model) as reader:
        assert reader.provenance["synthetic"]["images"] == 4
        learned = from_bytes(reader.array("weights", np.uint8, (None,)).tobytes(), model)
    assert learned.facts["made"] == 4
    with zsad.load(model) as inspector:
        assert np.isfinite(inspector.inspect(good[0]).score)


def test_tokens_alone_are_not_enough_to_make_images_of(tmp_path: Path) -> None:
    tokens = planted(5, [0] * 4)[0]
    with pytest.raises(ArrayError, match=r"Drift is trained on synthetic images made from the references; give Memory"):
        zsad.score(LEARNER, test=tokens, references=tokens)
