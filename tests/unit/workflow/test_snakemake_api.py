"""What is used of Snakemake's internals is refused where nobody has looked at them."""

from __future__ import annotations

import pytest
from snakemake.exceptions import WorkflowError

from zsad.workflow import snakemake_api


@pytest.mark.parametrize("version", ["9.27.1", "9.99.0"])
def test_the_versions_that_were_looked_at_are_taken(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snakemake_api, "snakemake_version", version)
    snakemake_api.check_version()


@pytest.mark.parametrize("version", ["10.0.0", "11.2"])
def test_a_newer_version_is_one_sentence(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snakemake_api, "snakemake_version", version)
    with pytest.raises(
        WorkflowError, match=f"Snakemake {version} is newer than this workflow supports; install a version bef"
    ):
        snakemake_api.check_version()
