"""Checkpoints on this machine and on the Hugging Face hub: found, downloaded, and checked by their hashes.

The local cache takes precedence: a completely cached model is used without a request, so that a node of a cluster needs
no network connection after ``zsad download``. All errors are one sentence with the fix; the underlying libraries stay
silent.
"""

from __future__ import annotations

import errno
import re
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self

import huggingface_hub
from huggingface_hub import constants
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.file_download import repo_folder_name
from huggingface_hub.utils import validate_repo_id
from tqdm import tqdm

from zsad.errors import ConfigError, ModelError, first_line, nearest_hint
from zsad.files.known_hashes import known_sha256
from zsad.models.catalogue import MODELS, RESNETS, ungated_twin
from zsad.models.published.resnet import file_of
from zsad.models.weight_files import (
    CONFIG,
    OPEN_CLIP,
    OPEN_CLIP_CONFIG,
    PREPROCESSOR,
    PROCESSOR,
    TOKENIZER,
    TRANSFORMERS,
    Form,
    form_of,
    names_type,
    weight_files,
)

TORCH_HUB_SUFFIXES = (".pth", ".pt")
SHA256 = re.compile(r"[0-9a-f]{64}")
SHA256_PREFIX = re.compile(r"[0-9a-f]{8,64}")
SHA256_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.pth?$")  # torch.hub's file names
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)


class Located(NamedTuple):
    """A checkpoint on this machine.

    Attributes:
        path: a folder with a configuration and weights, or a ``.pth`` or ``.pt`` file.
        commit: the hub's commit hash; None outside of the hub's cache.
    """

    path: Path
    commit: str | None


class PublishedModels(NamedTuple):
    """The facts of a catalogue for finding models.

    Attributes:
        hub_ids: by name, of the models on the hub.
        elsewhere: names of the models in other places.
        command: the command that lists the names.
        example: a hub id.
        twins: by the hub id of a gated model, the name of an ungated one with the same weights.
        gated: the hub ids of models whose licence must be accepted first.
        ungated: the name of an ungated model that can replace a gated one.
        files: by the hub id of a model, the address of a single file with the same weights that can replace it.
    """

    hub_ids: Mapping[str, str]
    elsewhere: Sequence[str]
    command: str
    example: str
    twins: Mapping[str, str]
    gated: Collection[str]
    ungated: str
    files: Mapping[str, str]

    @property
    def names(self) -> list[str]:
        """All names."""
        return [*self.hub_ids, *self.elsewhere]

    def joined(self, other: Self) -> Self:
        """Both catalogues as one."""
        return self._replace(
            hub_ids={**self.hub_ids, **other.hub_ids},
            elsewhere=[*self.elsewhere, *other.elsewhere],
            command=f"{self.command} or {other.command}",
            twins={**self.twins, **other.twins},
            gated={*self.gated, *other.gated},
            files={**self.files, **other.files},
        )


BACKBONE_MODELS = PublishedModels(
    hub_ids={facts.name: facts.hub_id for facts in (*MODELS.values(), *RESNETS.values())},
    elsewhere=(),
    command="`zsad backbones`",
    example="facebook/dinov2-small",
    twins={facts.hub_id: twin.name for facts in MODELS.values() if (twin := ungated_twin(facts)) is not None},
    gated={facts.hub_id for facts in MODELS.values() if facts.gated},
    ungated="dinov2-small",
    files={facts.hub_id: file_of(facts) for facts in RESNETS.values()},
)


def locate(name: str, revision: str | None, models: PublishedModels = BACKBONE_MODELS) -> Located:
    """Find a checkpoint, downloading it if it is not completely in the local cache.

    Args:
        name: a name of the catalogue such as ``"dinov2-small"``, a local folder, a local ``.pth`` or ``.pt`` file, or
            a hub id such as ``"facebook/dinov2-small"``; the first of these that fits.
        revision: branch, tag or commit on the hub; None for the main branch.
        models: the catalogue.

    Raises:
        ConfigError: a revision of a local folder or file.
        ModelError: it is missing, gated, unreachable or incomplete.
    """
    if name not in models.hub_ids and (local := _local_path(name)) is not None:
        if revision is not None:
            kind = "folder" if local.is_dir() else "file"
            raise ConfigError(f"revision '{revision}' is set but model '{name}' is a local {kind}; remove it")
        return Located(local, commit=None)
    snapshot = _whole_snapshot(_hub_id(name, models), revision)
    if snapshot is not None:
        return Located(snapshot, commit=snapshot.name)
    return download(name, revision, models, by_run=True)


def download(
    name: str,
    revision: str | None,
    models: PublishedModels = BACKBONE_MODELS,
    *,
    progress: bool = False,
    by_run: bool = False,
) -> Located:
    """Download a model of the hub into the local cache, or update it there.

    The hub is always contacted. Existing files are kept, and a broken download is resumed.

    Args:
        name: a name of the catalogue, or a hub id.
        revision: branch, tag or commit; None for the main branch.
        models: the catalogue.
        progress: show a bar if standard error is a terminal.
        by_run: whether a run downloads, so that messages may recommend a download ahead.

    Raises:
        ModelError: it is missing, gated, unreachable, without usable weights, or the disk is full.
    """
    hub_id = _hub_id(name, models)
    huggingface_hub.utils.logging.set_verbosity_error()
    with _clear_failures(name, hub_id, revision, models, by_run=by_run):
        files = _files_on_hub(hub_id, revision)
        wanted = _wanted(files, _form_on_hub(hub_id, revision, files), name)
        bar = None if progress and sys.stderr.isatty() else _HiddenBar
        folder = Path(
            huggingface_hub.snapshot_download(hub_id, revision=revision, allow_patterns=wanted, tqdm_class=bar)
        )
    if not _is_whole(folder):
        raise ModelError(f"model '{name}' is incomplete on the hub (files of its weights are missing); choose another")
    return Located(folder, commit=folder.name)


def check_place(name: str, *, option: str) -> None:
    """Reject an invalid place of files; the hub is not contacted.

    Args:
        name: a name of the catalogue, a local folder, or a hub id.
        option: the user's parameter for the place, for messages.

    Raises:
        ModelError: it is none of these.
    """
    if Path(name).is_file():
        raise ModelError(f"{option} '{name}' is a file; give its folder")
    if name not in BACKBONE_MODELS.hub_ids and not Path(name).is_dir() and not _is_hub_id(name):
        raise ModelError(
            f"{option} '{name}' is neither an existing folder nor a hub id such as '{BACKBONE_MODELS.example}'; "
            "correct it"
        )


def locate_files(name: str, revision: str | None, file_sets: Sequence[Sequence[str]], *, option: str) -> Located | None:
    """Find further files of a model, such as its tokenizer, downloading only them if necessary.

    Args:
        name: a name of the catalogue, a local folder, or a hub id.
        revision: branch, tag or commit on the hub; None for the main branch.
        file_sets: names of files; the first complete set is enough.
        option: the user's parameter for another place, for messages.

    Returns:
        The folder; None if it has no complete set.

    Raises:
        ModelError: the place does not exist, or the hub cannot be reached.
    """
    models = BACKBONE_MODELS
    check_place(name, option=option)
    if name not in models.hub_ids and Path(name).is_dir():
        return Located(Path(name), None) if _has_set(Path(name), file_sets) else None
    hub_id = _hub_id(name, models)
    for files in file_sets:
        cached = huggingface_hub.try_to_load_from_cache(hub_id, files[0], revision=revision)
        if isinstance(cached, str) and _has_set(folder := Path(cached).parent, [files]):
            return Located(folder, folder.name)
    huggingface_hub.utils.logging.set_verbosity_error()
    with _clear_failures(name, hub_id, revision, models, by_run=True, option=option):
        there = _files_on_hub(hub_id, revision)
        wanted = sorted(there & {file for files in file_sets for file in files})
        if not any(there.issuperset(files) for files in file_sets):
            return None
        folder = Path(
            huggingface_hub.snapshot_download(hub_id, revision=revision, allow_patterns=wanted, tqdm_class=_HiddenBar)
        )
    return Located(folder, folder.name) if _has_set(folder, file_sets) else None


def _has_set(folder: Path, file_sets: Sequence[Sequence[str]]) -> bool:
    return any(all((folder / file).is_file() for file in files) for files in file_sets)


def is_cached(hub_id: str, revision: str | None) -> bool:
    """Whether configuration and weights of a model are completely in the local cache; uses no network connection."""
    return _whole_snapshot(hub_id, revision) is not None


def check_weights(
    paths: Sequence[Path], expected: str | None, name: str, *, published: str | None = None, anew: bool = False
) -> dict[str, str]:
    """Compare weights with all known hashes, and return their hashes.

    The hub's cache names a large file by its SHA-256; torch.hub ends the name of a file with its first digits.

    Args:
        paths: the files that will be loaded.
        expected: the SHA-256 of a single file in the configuration, or at least its first 8 digits.
        name: of the model in the configuration.
        published: the SHA-256 of the single file of a catalogue's name; None if unknown.
        anew: always read the files; else use the cached hash of an unchanged file.

    Returns:
        SHA-256 by file name.

    Raises:
        ConfigError: ``expected`` is not a SHA-256, or there are several files.
        ModelError: a file is damaged, unreadable, or not the requested one.
    """
    if expected is not None:
        expected = _checked_prefix(expected, paths, name)
    digests = {path.name: _digest(path, name, anew=anew) for path in paths}
    for path in paths:
        digest = digests[path.name]
        if not digest.startswith(_hash_in_cache(path)):
            raise ModelError(
                f"the weights of model '{name}' are damaged: {path.resolve()} does not have the SHA-256 from the hub; "
                f"delete this file and download it again (`{_download_command(name, None)}`)"
            )
        if not digest.startswith(_hash_in_name(path)):
            raise ModelError(
                f"the weights of model '{name}' are damaged: the SHA-256 of {path} begins with {digest[:8]}, contrary "
                "to its name; download it again, or rename it if its name does not end with a SHA-256"
            )
        if published is not None and digest != published:
            raise ModelError(
                f"the weights of model '{name}' are damaged: the SHA-256 of {path} is {digest}, not {published}; "
                f"delete this file and download it again (`{_download_command(name, None)}`)"
            )
        if expected is not None and not digest.startswith(expected):
            raise ModelError(
                f"the weights of model '{name}' are not those of the configuration: the SHA-256 of {path} "
                f"is {digest}, not {expected}; download the right ones, or correct the hash"
            )
    return digests


def _local_path(name: str) -> Path | None:
    path = Path(name)
    if path.is_dir():
        return path
    if path.is_file():
        if path.suffix in TORCH_HUB_SUFFIXES:
            return path
        raise ModelError(
            f"model '{name}' is a file but not a .pth checkpoint; give the folder with config.json and weights"
        )
    if path.is_absolute() or name.startswith(".") or path.suffix in TORCH_HUB_SUFFIXES:
        kind = "file" if path.suffix in TORCH_HUB_SUFFIXES else "folder"
        raise ModelError(f"the model {kind} '{name}' does not exist; correct 'model', or give a hub id")
    return None


def _hub_id(name: str, models: PublishedModels) -> str:
    if name in models.hub_ids:
        return models.hub_ids[name]
    if _is_hub_id(name):
        return name
    if Path(name).expanduser().exists():
        raise ModelError(f"model '{name}' is already on this machine; only models of the hub can be downloaded")
    raise ModelError(
        f"model '{name}' is neither an existing folder nor a hub id such as '{models.example}', nor one of the "
        f"names that {models.command} lists{nearest_hint(name, models.names, or_all=False)}"
    )


def _is_hub_id(name: str) -> bool:
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return "/" in name


def _whole_snapshot(hub_id: str, revision: str | None) -> Path | None:
    """The folder of a model in the local cache, if it is complete."""
    for config in (CONFIG, OPEN_CLIP_CONFIG):
        cached = huggingface_hub.try_to_load_from_cache(hub_id, config, revision=revision)
        if isinstance(cached, str) and _is_whole(folder := Path(cached).parent):
            return folder
    return None


def _is_whole(folder: Path) -> bool:
    return (folder / form_of(folder).config).is_file() and bool(weight_files(folder))


def _files_on_hub(hub_id: str, revision: str | None) -> set[str]:
    """Names of the files of a model; unlike a download, this never falls back to the local cache."""
    try:
        # Without a time limit, a firewall that drops packets would make the caller wait for ever.
        info = huggingface_hub.HfApi().model_info(hub_id, revision=revision, timeout=constants.HF_HUB_ETAG_TIMEOUT)
    except HfHubHTTPError:
        raise
    except (HTTPError, OfflineModeIsEnabled) as error:
        raise LocalEntryNotFoundError(str(error)) from None
    return {file.rfilename for file in info.siblings or []}


def _form_on_hub(hub_id: str, revision: str | None, files: Collection[str]) -> Form:
    """The form of a model; of two configurations, the content of the one of ``transformers`` decides.

    timm's folders may contain its own image tower besides open_clip's whole model.
    """
    if OPEN_CLIP_CONFIG not in files:
        return TRANSFORMERS
    if CONFIG not in files:
        return OPEN_CLIP
    config = huggingface_hub.hf_hub_download(hub_id, CONFIG, revision=revision, tqdm_class=_HiddenBar)
    return TRANSFORMERS if names_type(Path(config)) else OPEN_CLIP


def _wanted(files: Collection[str], form: Form, name: str) -> list[str]:
    """The files of a model to download: configurations, tokenizer and one set of weights, as patterns."""
    if form.config not in files:
        raise ModelError(
            f"model '{name}' has no {CONFIG} on the hub; choose one in the format of transformers, timm or open_clip"
        )
    described = (form.config, PREPROCESSOR, PROCESSOR, *TOKENIZER)
    for weights in form.weight_sets:
        if weights.whole in files:
            return [*described, weights.whole]
        if weights.shard_index in files:
            return [*described, weights.shard_index, weights.shards]
    raise ModelError(
        f"model '{name}' has no weights ({form.weight_sets[0].whole} or {form.weight_sets[-1].whole}) on the hub; "
        "choose another"
    )


@contextmanager
def _clear_failures(
    name: str, hub_id: str, revision: str | None, models: PublishedModels, *, by_run: bool, option: str = "model"
) -> Iterator[None]:
    page = _page(hub_id)
    try:
        yield
        return
    except GatedRepoError:
        message = f"model '{name}' is gated; {_way_through_gate(hub_id)}{_way_around_gate(hub_id, models)}"
    except RepositoryNotFoundError:
        message = (
            f"the hub has no public model '{name}'; correct the id, or log in with `hf auth login` or set HF_TOKEN if "
            "it is private"
            f"{nearest_hint(hub_id, models.hub_ids.values(), or_all=False)}"
        )
    except RevisionNotFoundError:
        message = f"model '{name}' has no revision '{revision}'; {page} lists those that exist"
    except LocalEntryNotFoundError:
        message = _unreachable(name, hub_id, revision, models, by_run=by_run, option=option)
    except (OSError, HTTPError, RuntimeError) as error:  # the hub's own transfer library raises RuntimeError
        if _is_disk_full(error):
            message = (
                f"the disk of {constants.HF_HUB_CACHE} has no space for model '{name}'; free some, or set HF_HOME to a "
                "folder on another disk"
            )
        elif getattr(error, "errno", None) in READ_ONLY:
            message = (
                f"model '{name}' is not complete in {constants.HF_HUB_CACHE}, which you cannot write to; ask its "
                "owner to "
                f"run `{_download_command(name, revision)}`, or set HF_HUB_CACHE to a folder of your own"
            )
        else:
            message = (
                f"model '{name}' cannot be downloaded ({first_line(error)}); run again, or point '{option}' at a local "
                f"folder{_or_file(hub_id, models)}"
            )
    raise ModelError(message) from None


def _unreachable(
    name: str, hub_id: str, revision: str | None, models: PublishedModels, *, by_run: bool, option: str
) -> str:
    is_offline = constants.is_offline_mode()
    reason = "HF_HUB_OFFLINE forbids requests to the hub" if is_offline else "the hub cannot be reached"
    if not by_run and is_cached(hub_id, revision):
        return f"model '{name}' is complete in the local cache and can be used, but {reason} for updates"
    if by_run:
        fix = f"download it first with network access (`{_download_command(name, revision)}`)"
    elif is_offline:
        fix = "unset HF_HUB_OFFLINE with network access"
    else:
        fix = (
            "connect this machine to the network, or copy the folder "
            f"{Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=hub_id, repo_type='model')} from one that has it"
        )
    return f"model '{name}' is not complete in the local cache and {reason}; {_known(hub_id, models)}{fix}, or " + (
        f"point '{option}' at a local folder{_or_file(hub_id, models)}{_gate(hub_id, models)}"
    )


def _or_file(hub_id: str, models: PublishedModels) -> str:
    """The alternative to a folder for a model; empty for a model not published as a single file."""
    if (address := models.files.get(hub_id)) is None:
        return ""
    return f" or file, such as {address}, which has the same weights as {hub_id}"


def _known(hub_id: str, models: PublishedModels) -> str:
    """A hint that a model may not exist, if no catalogue has it and the hub cannot be contacted."""
    if hub_id in models.hub_ids.values():
        return ""
    hint = nearest_hint(hub_id, models.hub_ids.values(), or_all=False)
    return f"check its id, which {models.command} does not list{hint}; if it is right, "


def _gate(hub_id: str, models: PublishedModels) -> str:
    """Further steps for a gated model of the catalogue; empty for any other."""
    if hub_id not in models.gated:
        return ""
    return f"; it is gated: {_way_through_gate(hub_id)}{_way_around_gate(hub_id, models)}"


def _way_through_gate(hub_id: str) -> str:
    if huggingface_hub.get_token():
        return f"accept its licence on {_page(hub_id)} with the account of your token"
    return f"accept its licence on {_page(hub_id)} and log in with `hf auth login`, or set HF_TOKEN"


def _way_around_gate(hub_id: str, models: PublishedModels) -> str:
    if (twin := models.twins.get(hub_id)) is not None:
        return f", or use '{twin}', which has the same weights and is not gated"
    return f", or use '{models.ungated}', another model that is not gated"


def _page(hub_id: str) -> str:
    return f"https://huggingface.co/{hub_id}"


def _download_command(name: str, revision: str | None) -> str:
    return f"zsad download {name}" + (f" --revision {revision}" if revision is not None else "")


def _is_disk_full(error: Exception) -> bool:
    return getattr(error, "errno", None) in DISK_FULL or "No space left on device" in str(error)


def _checked_prefix(expected: str, paths: Sequence[Path], name: str) -> str:
    prefix = expected.strip().lower()
    if not SHA256_PREFIX.fullmatch(prefix):
        raise ConfigError(
            f"'{expected}' is not a SHA-256 of model '{name}'; give its 64 hexadecimal digits, or at least 8"
        )
    if len(paths) != 1:
        raise ConfigError(f"model '{name}' has {len(paths)} weights files, so that one SHA-256 cannot match; remove it")
    return prefix


def _digest(path: Path, name: str, *, anew: bool) -> str:
    try:
        return known_sha256(path, anew=anew)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ModelError(
            f"the weights {path} of model '{name}' cannot be read ({reason}); make them readable"
        ) from None


def _hash_in_cache(path: Path) -> str:
    """The SHA-256 in the name of a file in the hub's cache; empty for a small file or one in another place."""
    # One step only: a blob may itself be a link into a store with other hashes of 64 digits as names.
    blob = path.readlink() if path.is_symlink() else path
    return blob.name if blob.parent.name == "blobs" and SHA256.fullmatch(blob.name) else ""


def _hash_in_name(path: Path) -> str:
    found = SHA256_IN_NAME.search(path.name)
    return found[1] if found else ""


class _HiddenBar(tqdm):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{**options, "disable": True})
