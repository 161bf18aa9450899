"""Models come from the local cache, else from the hub, and are what their hashes say; a failure is one sentence."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import constants
from transformers import Dinov2Config, Dinov2Model

from hub_server import Hub, Repository, running_hub, use_hub
from zsad.errors import ConfigError, ModelError, ZsadError
from zsad.models.hub import Located, check_weights, download, is_cached, locate
from zsad.models.weight_files import weight_files

SMALL = "facebook/dinov2-small"  # `dinov2-small` in the catalogue
WEIGHTS = "model.safetensors"
NOTHING_LISTENS = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny random checkpoint, with a tokenizer and things that nobody needs beside it."""
    folder = tmp_path_factory.mktemp("checkpoint")
    Dinov2Model(
        Dinov2Config(hidden_size=8, num_hidden_layers=1, num_attention_heads=2, mlp_ratio=1, image_size=28)
    ).save_pretrained(folder)
    for name in ("pytorch_model.bin", "model.onnx", "flax_model.msgpack", "model.fp16.safetensors", "original.pth"):
        (folder / name).write_bytes(b"not needed" * 200)
    for name in ("tokenizer.json", "tokenizer.model", "merges.txt", "processor_config.json", "README.md"):
        (folder / name).write_text(name)
    return folder


@pytest.fixture
def hub(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with one model, an empty local cache, and nobody logged in."""
    with running_hub() as hub:
        hub.models[SMALL] = Repository.of_folder(checkpoint)
        use_hub(monkeypatch, hub.endpoint, tmp_path / "cache")
        yield hub


@pytest.fixture
def without_network(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model is in the local cache, and the hub is gone."""
    download("dinov2-small", None)
    use_hub(monkeypatch, NOTHING_LISTENS, Path(constants.HF_HUB_CACHE))


def sentence(name: str, revision: str | None = None, kind: type[ZsadError] = ModelError, find=locate) -> str:
    with pytest.raises(kind) as caught:
        find(name, revision)
    assert "\n" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return str(caught.value)


def sharded(repository: Repository) -> Repository:
    """The same model with its weights in two shards."""
    shards = {"model-00001-of-00002.safetensors": b"a" * 2000, "model-00002-of-00002.safetensors": b"b" * 2000}
    index = json.dumps({"weight_map": dict(zip(("first", "second"), shards, strict=True))}).encode()
    config = {"config.json": repository.files["config.json"]}
    return Repository({**config, **shards, "model.safetensors.index.json": index})


def test_a_model_is_downloaded_once_by_its_name_or_its_id(hub: Hub, checkpoint: Path) -> None:
    assert not is_cached(SMALL, None)
    located = locate("dinov2-small", None)
    assert located.commit == hub.models[SMALL].commit == located.path.name
    assert (located.path / WEIGHTS).read_bytes() == (checkpoint / WEIGHTS).read_bytes()
    assert is_cached(SMALL, None)
    hub.requests.clear()
    assert locate(SMALL, None) == locate("dinov2-small", "main") == locate(SMALL, located.commit) == located
    assert hub.requests == []


def test_only_configuration_tokenizer_and_one_set_of_weights_are_downloaded(hub: Hub) -> None:
    located = locate("dinov2-small", None)
    described = ["config.json", "merges.txt", WEIGHTS, "processor_config.json", "tokenizer.json", "tokenizer.model"]
    assert sorted(hub.sent_files()) == described
    assert {path.name for path in located.path.iterdir()} == set(hub.sent_files())


def test_pickled_weights_are_downloaded_only_where_there_are_no_others(hub: Hub) -> None:
    del hub.models[SMALL].files[WEIGHTS]
    located = locate("dinov2-small", None)
    assert [path.name for path in weight_files(located.path)] == ["pytorch_model.bin"]
    assert locate("dinov2-small", None) == located


def test_shards_are_downloaded_by_their_index(hub: Hub) -> None:
    hub.models[SMALL] = sharded(hub.models[SMALL])
    located = locate("dinov2-small", None)
    assert [path.name for path in weight_files(located.path)] == [
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
    ]
    assert len(check_weights(weight_files(located.path), None, "dinov2-small")) == 2


@pytest.mark.usefixtures("without_network")
def test_a_model_in_the_cache_needs_no_network() -> None:
    assert is_cached(SMALL, "main")
    located = locate("dinov2-small", None)
    assert locate(SMALL, located.commit) == located


@pytest.mark.usefixtures("without_network")
def test_a_download_without_a_network_says_that_it_refreshed_nothing() -> None:
    assert "is complete in the local cache and can be used, but the hub cannot be reached" in sentence(
        "dinov2-small", find=download
    )


def test_a_download_follows_the_branch_where_a_run_keeps_what_it_has(hub: Hub) -> None:
    old = locate("dinov2-small", None)
    newer = "f" * 40
    hub.models[SMALL].commit = newer
    assert locate("dinov2-small", None) == old
    assert download("dinov2-small", None) == Located(old.path.with_name(newer), newer)
    assert locate("dinov2-small", None).commit == newer
    assert locate("dinov2-small", old.commit) == old


def test_a_connection_that_is_cut_is_taken_up_where_it_broke(
    hub: Hub, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 500)
    hub.models[SMALL].cut_after[WEIGHTS] = 1500
    located = locate("dinov2-small", None)
    assert (located.path / WEIGHTS).read_bytes() == (checkpoint / WEIGHTS).read_bytes()
    ranges = [asked for method, path, asked in hub.requests if method == "GET" and path.endswith(WEIGHTS)]
    assert ranges == ["", "bytes=1500-"]


@pytest.mark.parametrize("lost", ["config.json", "model-00002-of-00002.safetensors"])
def test_what_is_missing_from_a_snapshot_is_fetched_and_nothing_else(hub: Hub, lost: str) -> None:
    hub.models[SMALL] = sharded(hub.models[SMALL])
    located = locate("dinov2-small", None)
    (located.path / lost).resolve().unlink()
    assert not is_cached(SMALL, None)
    hub.requests.clear()
    assert locate("dinov2-small", None) == located
    assert hub.sent_files() == [lost]
    assert is_cached(SMALL, None)


@pytest.mark.parametrize(
    ("offline", "reason"), [(False, "the hub cannot be reached"), (True, "HF_HUB_OFFLINE forbids requests to the hub")]
)
def test_an_incomplete_snapshot_without_a_network_is_not_used(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, offline: bool, reason: str
) -> None:
    hub.models[SMALL] = sharded(hub.models[SMALL])
    located = locate("dinov2-small", None)
    (located.path / "model-00002-of-00002.safetensors").resolve().unlink()
    use_hub(monkeypatch, NOTHING_LISTENS, Path(constants.HF_HUB_CACHE))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
    message = sentence("dinov2-small")
    assert message.startswith(f"model 'dinov2-small' is not complete in the local cache and {reason}; download it ")
    assert message.endswith("(`zsad download dinov2-small`), or point 'model' at a local folder")
    assert "`zsad download dinov2-small --revision v1`" in sentence("dinov2-small", "v1")


def test_offline_mode_asks_nothing(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE forbids" in sentence("dinov2-small", find=download)
    assert hub.requests == []


def test_an_index_that_is_damaged_makes_no_whole_snapshot(hub: Hub) -> None:
    hub.models[SMALL] = sharded(hub.models[SMALL])
    located = locate("dinov2-small", None)
    for content in ("{", "[]", "{}", '{"weight_map": 3}'):
        (located.path / "model.safetensors.index.json").write_text(content)
        assert weight_files(located.path) == []
        assert not is_cached(SMALL, None)


def test_a_gated_model_names_page_login_and_the_same_weights_elsewhere(hub: Hub, checkpoint: Path) -> None:
    gated = "facebook/dinov3-vits16-pretrain-lvd1689m"
    hub.models[gated] = Repository.of_folder(checkpoint)
    hub.models[gated].gated = True
    for name in ("dinov3-vits16", gated):
        assert sentence(name) == (
            f"model '{name}' is gated; accept its licence on https://huggingface.co/{gated} and log in with "
            "`hf auth login`, or set HF_TOKEN, or use 'dinov3-vits16-timm', which has the same weights and is not gated"
        )


def test_a_gated_model_without_a_twin_is_named_with_another_model(hub: Hub, checkpoint: Path) -> None:
    gated = "facebook/dinov3-vit7b16-pretrain-sat493m"
    hub.models[gated] = Repository.of_folder(checkpoint)
    hub.models[gated].gated = True
    assert sentence(gated).endswith("or set HF_TOKEN, or use 'dinov2-small', another model that is not gated")


def test_a_gate_that_a_token_does_not_open_is_told_so(
    hub: Hub, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gated = "facebook/dinov3-vits16-pretrain-lvd1689m"
    hub.models[gated] = Repository.of_folder(checkpoint)
    hub.models[gated].gated = True
    monkeypatch.setenv("HF_TOKEN", "hf_token_of_nobody")
    assert "lvd1689m with the account of your token, or use 'dinov3-vits16-timm'" in sentence("dinov3-vits16")


@pytest.mark.parametrize("offline", [False, True])
def test_the_command_that_downloads_is_never_advised_to_be_run(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, offline: bool
) -> None:
    use_hub(monkeypatch, NOTHING_LISTENS, Path(constants.HF_HUB_CACHE))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
    for name in ("dinov2-base", "facebook/dinov2-smal", "dinov3-vits16"):
        message = sentence(name, find=download)
        assert "zsad download" not in message
        assert ("unset HF_HUB_OFFLINE" if offline else "connect this machine") in message


def test_offline_an_unknown_id_is_doubted_and_a_gate_is_named(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    message = sentence("facebook/dinov2-smal")
    assert "check its id, which `zsad backbones` does not list; did you mean 'facebook/dinov2-small'?" in message
    assert "check its id" not in sentence("dinov2-base")
    gated = sentence("dinov3-vits16")
    assert "it is gated: accept its licence on https://huggingface.co/facebook/dinov3-vits16-pretrain" in gated
    assert gated.endswith("or use 'dinov3-vits16-timm', which has the same weights and is not gated")


def test_a_model_that_the_hub_does_not_have_is_named_with_the_nearest(hub: Hub) -> None:
    assert "the hub has no public model 'facebook/dinov2-smal'; correct the id" in sentence("facebook/dinov2-smal")
    assert sentence("facebook/dinov2-smal").endswith("; did you mean 'facebook/dinov2-small'?")
    assert "has no revision 'v9'; https://huggingface.co/facebook/dinov2-small" in sentence("dinov2-small", "v9")


def test_a_name_that_is_neither_path_nor_id_is_named_with_the_nearest(hub: Hub) -> None:
    message = sentence("dinov2-smal")
    assert "neither an existing folder nor a hub id" in message
    assert message.endswith("; did you mean 'dinov2-small'?")
    assert "neither an existing folder nor a hub id" in sentence("models/dino/small")
    assert hub.requests == []


@pytest.mark.parametrize(
    ("lost", "expected"),
    [(("config.json",), "has no config.json on the hub"), ((WEIGHTS, "pytorch_model.bin"), "has no weights")],
)
def test_a_repository_that_holds_no_usable_model_is_refused(hub: Hub, lost: tuple[str, ...], expected: str) -> None:
    for name in lost:
        del hub.models[SMALL].files[name]
    assert expected in sentence("dinov2-small")
    assert hub.sent_files() == []


def test_a_repository_that_lacks_a_shard_is_refused(hub: Hub) -> None:
    hub.models[SMALL] = sharded(hub.models[SMALL])
    del hub.models[SMALL].files["model-00002-of-00002.safetensors"]
    assert "is incomplete on the hub" in sentence("dinov2-small")


def test_a_hub_that_is_down_is_quoted(hub: Hub) -> None:
    hub.down = True
    message = sentence("dinov2-small")
    assert "model 'dinov2-small' cannot be downloaded (Server error '503 Service Unavailable'" in message
    assert message.endswith("run again, or point 'model' at a local folder")


def test_a_full_disk_is_named(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fill)
    message = sentence("dinov2-small")
    assert f"the disk of {constants.HF_HUB_CACHE} has no space for model 'dinov2-small'" in message


def test_wrong_content_is_found_and_goes_when_the_named_file_is_deleted(hub: Hub, checkpoint: Path) -> None:
    right = (checkpoint / WEIGHTS).read_bytes()
    hub.models[SMALL].sent_instead[WEIGHTS] = right[::-1]
    located = locate("dinov2-small", None)
    with pytest.raises(ModelError, match="are damaged") as caught:
        check_weights(weight_files(located.path), None, "dinov2-small")
    damaged = (located.path / WEIGHTS).resolve()
    assert f"{damaged} does not have the SHA-256 from the hub; delete this file" in str(caught.value)

    hub.models[SMALL].sent_instead.clear()
    damaged.unlink()
    again = locate("dinov2-small", None)
    digests = check_weights(weight_files(again.path), None, "dinov2-small")
    assert digests == {WEIGHTS: hashlib.sha256(right).hexdigest()}


def test_a_blob_that_is_shared_between_models_is_not_measured_by_the_name_of_its_store(tmp_path: Path) -> None:
    content = b"weights" * 300
    digest = hashlib.sha256(content).hexdigest()
    store, blob, snapshot = (tmp_path / folder for folder in ("blobs/ab", "models--a--b/blobs", "models--a--b/s/c"))
    for folder in (store, blob, snapshot):
        folder.mkdir(parents=True)
    (store / ("0" * 64)).write_bytes(content)
    (blob / digest).symlink_to(store / ("0" * 64))
    (snapshot / WEIGHTS).symlink_to(Path("../../blobs") / digest)
    assert check_weights([snapshot / WEIGHTS], None, "a/b") == {WEIGHTS: digest}
    (store / ("0" * 64)).write_bytes(content[1:])
    with pytest.raises(ModelError, match=f"{store / ('0' * 64)} does not have the SHA-256"):
        check_weights([snapshot / WEIGHTS], None, "a/b")


@pytest.mark.parametrize("suffix", [".pth", ".pt"])
def test_a_file_of_torch_hub_is_checked_by_the_digits_in_its_name(tmp_path: Path, suffix: str) -> None:
    digest = hashlib.sha256(b"weights").hexdigest()
    right = tmp_path / f"dinov3_vits16_pretrain_lvd1689m-{digest[:8]}{suffix}"
    right.write_bytes(b"weights")
    assert locate(str(right), None) == Located(right, None)
    assert check_weights([right], None, "mine") == {right.name: digest}
    wrong = tmp_path / f"dinov3_vits16_pretrain_lvd1689m-08c60483{suffix}"
    wrong.write_bytes(b"weights")
    with pytest.raises(ModelError, match=f"the SHA-256 of {wrong} begins with {digest[:8]}, contrary to its name"):
        check_weights([wrong], None, "mine")


def test_the_hash_of_the_configuration_must_match(tmp_path: Path) -> None:
    path = tmp_path / "dinov2_vits14_pretrain.pth"
    path.write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()
    for expected in (digest, digest.upper(), digest[:8], None):
        assert check_weights([path], expected, "mine") == {path.name: digest}
    with pytest.raises(ModelError, match="are not those of the configuration"):
        check_weights([path], "0" * 64, "mine")
    for expected in (digest[:7], "no digits", digest + "0", ""):
        with pytest.raises(ConfigError, match="is not a SHA-256 of model 'mine'"):
            check_weights([path], expected, "mine")
    with pytest.raises(ConfigError, match="has 2 weights files"):
        check_weights([path, path], digest, "mine")
    with pytest.raises(ModelError, match=r"absent\.pth of model 'mine' cannot be read"):
        check_weights([tmp_path / "absent.pth"], None, "mine")


def test_a_local_folder_is_used_as_it_is(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert locate(str(checkpoint), None) == Located(checkpoint, None)
    shutil.copytree(checkpoint, tmp_path / "some" / "model")
    monkeypatch.chdir(tmp_path)
    assert locate("some/model", None) == Located(Path("some/model"), None)
    assert "is a local folder; remove it" in sentence(str(checkpoint), "main", ConfigError)
    assert "is already on this machine" in sentence(str(checkpoint), find=download)


def test_a_name_of_the_catalogue_means_the_published_model_wherever_one_stands(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dinov2-small").mkdir()
    monkeypatch.chdir(tmp_path)
    assert locate("dinov2-small", None).commit == hub.models[SMALL].commit


def test_a_path_that_leads_nowhere_is_no_hub_id(tmp_path: Path) -> None:
    assert "the model folder" in sentence(str(tmp_path / "none"))
    assert "does not exist" in sentence("./none")
    assert "the model file 'weights/none.pth' does not exist" in sentence("weights/none.pth")
    (tmp_path / "model.safetensors").touch()
    assert "is a file but not a .pth checkpoint" in sentence(str(tmp_path / "model.safetensors"))


def test_finding_and_downloading_are_silent(hub: Hub, tmp_path: Path) -> None:
    hub.models[SMALL].cut_after[WEIGHTS] = 1500
    program = (
        "from zsad.models.hub import locate\n"
        "from zsad.errors import ModelError\n"
        "print(locate('dinov2-small', None).commit)\n"
        "try:\n    locate('someone/unknown', None)\n"
        "except ModelError as error:\n    print(error)\n"
    )
    environment = {
        "PATH": "",
        "PYTHONPATH": ":".join(sys.path),
        "HF_HOME": str(tmp_path),
        "HF_ENDPOINT": hub.endpoint,
        "NO_PROXY": "127.0.0.1",
    }
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.startswith(hub.models[SMALL].commit + "\nthe hub has no public model 'someone/unknown'")
    assert run.stderr == ""
