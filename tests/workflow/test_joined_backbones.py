"""A joint of backbones takes the features that are there, and follows what becomes of those of its members."""

from __future__ import annotations

import pytest

from harness import SMALL, Project, merged

pytestmark = pytest.mark.slow

JOINED = merged(
    SMALL,
    backbones__coarse={"family": "embedded", "params": {"resolution": 32}},
    methods__joined={"scorer": "memory_bank", "params": {"shots": 2}, "backbone": ["embedded", "coarse"]},
)
NAMES = ("test.original", "references-k2-seed0.rotations")


def features(backbone: str, *names: str) -> set[str]:
    return {f"t/ring/features/{backbone}/{name}.h5" for name in names or NAMES}


def test_features_of_a_run_are_joined_and_follow_their_members(project: Project) -> None:
    added = {path for path in project.would_make(JOINED) if "/features/" in path or "/scores/" in path}
    assert added == features("coarse") | features("embedded-coarse") | {"t/ring/scores/joined.h5"}
    (target,) = features("embedded-coarse", "test.original")
    run = project.run(JOINED, f"results/{target}")
    assert run.status == 0, run.output
    assert run.made_by("/features/") == {target, *features("coarse", "test.original")}
    changed = merged(JOINED, backbones__coarse__params={"resolution": 48})
    assert project.would_make(changed, f"results/{target}") == {target, *features("coarse", "test.original")}
