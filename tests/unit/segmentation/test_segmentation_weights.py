"""Weights of segmentation models come from this machine, else from where they are published, and are the right ones."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
import torch
from huggingface_hub import constants

from file_server import FileServer, ServedFile, running_file_server
from hub_server import Hub, Repository, running_hub, use_hub
from zsad.errors import ConfigError, ModelError, ZsadError
from zsad.files import download as web
from zsad.segmentation import weights
from zsad.segmentation.catalogue import MODELS, SegmenterFacts
from zsad.segmentation.weights import (
    Weights,
    checkpoint_path,
    download,
    find_weights,
    is_cached,
    local_files,
    weights_megabytes,
)

CONTENT = np.random.default_rng(0).bytes(3000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
TINY = "facebook/sam2.1-hiera-tiny"  # `sam2.1-hiera-tiny` in the catalogue
GATED = "facebook/sam3"
NOTHING_LISTENS = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty caches, and no network but what a test provides."""
    for variable in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(web, "PAUSE_SECONDS", 0.0)
    use_hub(monkeypatch, NOTHING_LISTENS, tmp_path / "hub")


@pytest.fixture
def authors(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """The server of the authors' file of `sam-vit-b`, which is small here."""
    with running_file_server() as server:
        server.files["/sam_vit_b_01ec64.pth"] = ServedFile(CONTENT)
        serve(monkeypatch, f"{server.endpoint}/sam_vit_b_01ec64.pth")
        yield server


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with two models, one of which is gated."""
    with running_hub() as hub:
        files = {"config.json": b"{}", "model.safetensors": CONTENT}
        hub.models[TINY] = Repository({**files, "sam2.1_hiera_tiny.pt": b"not needed"})
        hub.models[GATED] = Repository(files, gated=True)
        use_hub(monkeypatch, hub.endpoint, Path(constants.HF_HUB_CACHE))
        yield hub


def serve(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    facts = MODELS["sam-vit-b"]._replace(url=url, sha256=SHA256, size=len(CONTENT))
    monkeypatch.setattr(weights, "MODELS", MappingProxyType({**MODELS, "sam-vit-b": facts}))


def the_facts() -> SegmenterFacts:
    return weights.MODELS["sam-vit-b"]


def sentence(
    model: str, revision: str | None = None, sha256: str | None = None, kind: type[ZsadError] = ModelError
) -> str:
    with pytest.raises(kind) as caught:
        find_weights(model, revision, sha256)
    assert "\n" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return str(caught.value)


@pytest.mark.parametrize("get", [lambda: find_weights("sam-vit-b", None, None), lambda: download("sam-vit-b", None)])
def test_a_file_of_the_authors_is_downloaded_once_to_the_folder_of_torch_hub(authors: FileServer, get) -> None:
    path = Path(torch.hub.get_dir()) / "checkpoints" / "sam_vit_b_01ec64.pth"
    assert not is_cached(the_facts())
    assert get() == get() == Weights(path, [path], None, {path.name: SHA256})
    assert path.read_bytes() == CONTENT
    assert is_cached(the_facts())
    assert len(authors.requests) == 1


@pytest.mark.parametrize(
    "variables", [{}, {"XDG_CACHE_HOME": "/x"}, {"TORCH_HOME": "/t", "XDG_CACHE_HOME": "/x"}, {"TORCH_HOME": "~/t"}]
)
def test_the_folder_is_that_of_torch_hub(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    monkeypatch.delenv("TORCH_HOME")
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    assert checkpoint_path(MODELS["sam-vit-h"]) == Path(torch.hub.get_dir()) / "checkpoints" / "sam_vit_h_4b8939.pth"


def test_a_file_that_torch_hub_or_a_browser_put_there_is_used_without_a_network(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    serve(monkeypatch, f"{NOTHING_LISTENS}/sam_vit_b_01ec64.pth")
    path = checkpoint_path(the_facts())
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert find_weights("sam-vit-b", None, SHA256[:8]).path == path
    assert f"the SHA-256 of {path} is {SHA256}, not 00000000" in sentence("sam-vit-b", sha256="00000000")


@pytest.mark.parametrize("damaged", [CONTENT[:-1], b"?" + CONTENT[1:]])
def test_a_damaged_file_is_refused_until_it_is_deleted(authors: FileServer, damaged: bytes) -> None:
    path = checkpoint_path(the_facts())
    path.parent.mkdir(parents=True)
    path.write_bytes(damaged)
    assert sentence("sam-vit-b", sha256=SHA256) == (
        f"the weights of model 'sam-vit-b' are damaged: the SHA-256 of {path} is "
        f"{hashlib.sha256(damaged).hexdigest()}, not {SHA256}; delete this file and download it again "
        "(`zsad download sam-vit-b`)"
    )
    assert is_cached(the_facts()) == (len(damaged) == len(CONTENT))
    path.unlink()
    assert find_weights("sam-vit-b", None, SHA256).sha256 == {path.name: SHA256}


def test_a_download_that_fails_leaves_no_file_and_names_the_ways_out(monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"{NOTHING_LISTENS}/sam_vit_b_01ec64.pth"
    serve(monkeypatch, url)
    path = checkpoint_path(the_facts())
    ways_out = f"download it first with network access (`zsad download sam-vit-b`), or save {url} as {path}"
    assert sentence("sam-vit-b") == (
        "model 'sam-vit-b' cannot be downloaded because 127.0.0.1:9 cannot be reached (ConnectionError); run again "
        f"later, or {ways_out}"
    )
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert sentence("sam-vit-b") == (
        f"model 'sam-vit-b' is not on this machine and HF_HUB_OFFLINE forbids its download; {ways_out}"
    )
    assert not path.exists()


def test_wrong_content_of_the_right_size_does_not_stay(authors: FileServer) -> None:
    authors.files["/sam_vit_b_01ec64.pth"] = ServedFile(CONTENT[::-1])
    assert "model 'sam-vit-b' is not the expected file: the SHA-256" in sentence("sam-vit-b")
    assert not is_cached(the_facts())


def test_a_file_of_the_authors_has_no_revisions(authors: FileServer) -> None:
    assert sentence("sam-vit-b", "main", kind=ConfigError) == (
        "revision 'main' is set but model 'sam-vit-b' is a file of its authors, of which there is one version; leave "
        "it out"
    )
    assert authors.requests == []


def test_a_model_of_the_hub_is_downloaded_once_by_its_name_or_its_id(hub: Hub) -> None:
    assert not is_cached(MODELS["sam2.1-hiera-tiny"])
    found = find_weights("sam2.1-hiera-tiny", None, None)
    assert found.commit == hub.models[TINY].commit == found.path.name
    assert found.files == [found.path / "model.safetensors"]
    assert found.sha256 == {"model.safetensors": SHA256}
    assert sorted(hub.sent_files()) == ["config.json", "model.safetensors"]
    assert is_cached(MODELS["sam2.1-hiera-tiny"])
    hub.requests.clear()
    assert find_weights(TINY, None, SHA256) == find_weights("sam2.1-hiera-tiny", found.commit, None) == found
    assert hub.requests == []


def test_a_download_follows_the_branch_where_a_run_keeps_what_it_has(hub: Hub) -> None:
    old = find_weights("sam2.1-hiera-tiny", None, None)
    hub.models[TINY].commit = newer = "f" * 40
    assert find_weights("sam2.1-hiera-tiny", None, None) == old
    assert download("sam2.1-hiera-tiny", None).commit == newer
    assert find_weights("sam2.1-hiera-tiny", None, None).commit == newer


def test_wrong_content_of_the_hub_is_found(hub: Hub) -> None:
    hub.models[TINY].sent_instead["model.safetensors"] = CONTENT[::-1]
    assert sentence("sam2.1-hiera-tiny").startswith("the weights of model 'sam2.1-hiera-tiny' are damaged: ")
    with pytest.raises(ModelError, match="are damaged"):
        download("sam2.1-hiera-tiny", None)


def test_a_gated_model_names_page_and_login(hub: Hub) -> None:
    assert sentence("sam3") == (
        "model 'sam3' is gated; accept its licence on https://huggingface.co/facebook/sam3 and log in with "
        "`hf auth login`, or set HF_TOKEN, or use 'sam-vit-b', another model that is not gated"
    )


def test_a_name_that_is_unknown_is_named_with_the_nearest_of_this_catalogue(hub: Hub) -> None:
    message = sentence("sam-vit-bb")
    assert "nor a hub id such as 'facebook/sam2.1-hiera-tiny'" in message
    assert message.endswith("nor one of the names that `zsad segmenters` lists; did you mean 'sam-vit-b'?")
    assert sentence("facebook/sam2.1-hiera-tny").endswith("; did you mean 'facebook/sam2.1-hiera-tiny'?")
    assert "did you mean 'facebook/sam-vit-huge'?" in sentence("facebook/sam-vit-hug")
    assert "did you mean" not in sentence("dinov2-small")


def test_without_a_network_the_way_out_is_named(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    message = sentence("sam2.1-hiera-tiny")
    assert message.startswith("model 'sam2.1-hiera-tiny' is not complete in the local cache and HF_HUB_OFFLINE forbids")
    assert "(`zsad download sam2.1-hiera-tiny`)" in message


def test_a_local_file_or_folder_is_used_as_it_is(tmp_path: Path) -> None:
    file, folder = tmp_path / "mine.pth", tmp_path / "mine"
    file.write_bytes(CONTENT)
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(CONTENT)
    assert find_weights(str(file), None, SHA256) == Weights(file, [file], None, {"mine.pth": SHA256})
    files = [folder / "model.safetensors"]
    assert find_weights(str(folder), None, None) == Weights(folder, files, None, {"model.safetensors": SHA256})
    assert "not those of the configuration" in sentence(str(file), sha256="0" * 64)
    assert "is a local folder; remove it" in sentence(str(folder), "main", kind=ConfigError)
    assert "the model file" in sentence(str(tmp_path / "none.pth"))


def test_a_folder_that_lacks_something_is_refused(tmp_path: Path) -> None:
    assert f"has no config.json in {tmp_path}" in sentence(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    assert f"has no weights (model.safetensors) in {tmp_path}" in sentence(str(tmp_path))


def test_a_name_of_the_catalogue_means_the_published_model_wherever_one_stands(
    authors: FileServer, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("sam-vit-b", "sam2.1-hiera-tiny"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert find_weights("sam-vit-b", None, None).path == checkpoint_path(the_facts())
    assert find_weights("sam2.1-hiera-tiny", None, None).commit == hub.models[TINY].commit
    assert local_files("sam-vit-b") == local_files("sam2.1-hiera-tiny") == []


def test_the_files_of_a_local_model_are_listed_and_those_of_others_are_not(tmp_path: Path) -> None:
    for name in ("model.safetensors", "config.json"):
        (tmp_path / name).write_bytes(bytes(1_500_000))
    (tmp_path / "folder").mkdir()
    assert local_files(str(tmp_path)) == [str(tmp_path / "config.json"), str(tmp_path / "model.safetensors")]
    assert local_files(str(tmp_path / "model.safetensors")) == [str(tmp_path / "model.safetensors")]
    assert local_files(TINY) == local_files("sam-vit-b") == local_files(str(tmp_path / "none")) == []
    assert weights_megabytes(str(tmp_path)) == 3


def test_the_size_of_a_published_model_is_known_ahead() -> None:
    assert weights_megabytes("sam-vit-h") == 2564
    assert weights_megabytes(TINY) == weights_megabytes("sam2.1-hiera-tiny") == 156
    assert weights_megabytes("someone/unknown") is None


def test_finding_weights_is_silent(authors: FileServer) -> None:
    authors.files["/sam_vit_b_01ec64.pth"].cuts = [1000]
    program = (
        "import sys\nfrom zsad.segmentation import weights\n"
        "facts = weights.MODELS['sam-vit-b']._replace(url=sys.argv[1], sha256=sys.argv[2], size=3000)\n"
        "weights.MODELS = {**weights.MODELS, 'sam-vit-b': facts}\n"
        "print(weights.find_weights('sam-vit-b', None, None).path.name)\n"
    )
    url = f"{authors.endpoint}/sam_vit_b_01ec64.pth"
    run = subprocess.run([sys.executable, "-c", program, url, SHA256], capture_output=True, text=True, check=True)
    assert run.stdout == "sam_vit_b_01ec64.pth\n"
    assert run.stderr == ""
    assert len(authors.requests) == 2
