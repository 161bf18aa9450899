"""Checkpoints on this machine and on the Hugging Face hub: found, downloaded, and checked by their hashes.

The local cache goes first: a model that lies there whole is used without a request, so that a node of a cluster needs
no network after ``zsad download``. Whatever goes wrong is one sentence that says how to fix it; the libraries
underneath stay silent.
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
SHA256_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.pth?$")  # as torch.hub names its files
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)


class Located(NamedTuple):
    """A checkpoint on this machine.

    Attributes:
        path: a folder with a configuration and weights, or a ``.pth`` or ``.pt`` file.
        commit: the hub's commit hash; None for what is not in the hub's cache.
    """

    path: Path
    commit: str | None


class PublishedModels(NamedTuple):
    """What finding a model needs to know of a catalogue.

    Attributes:
        hub_ids: by name, of the models that lie on the hub.
        elsewhere: names of the models that lie elsewhere.
        command: what lists the names.
        example: a hub id.
        twins: by the hub id of a gated model, the name of one with the same weights that anybody can download.
        gated: the hub ids of models whose licence must be accepted first.
        ungated: the name of a model that anybody can download, to take the place of one that is gated.
        files: by the hub id of a model, the address of a single file of the same weights that can take its place.
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
    """Find a checkpoint, downloading it if the local cache does not hold it whole.

    Args:
        name: a name of the catalogue such as ``"dinov2-small"``, a local folder, a local ``.pth`` or ``.pt`` file, or
            a hub id such as ``"facebook/dinov2-small"``; the first of these that fits.
        revision: branch, tag or commit on the hub; None for the main branch.
        models: the catalogue.

    Raises:
        ConfigError: a revision of a local folder or file.
        ModelError: absent, gated, unreachable or incomplete.
    """
    if name not in models.hub_ids and (local := _local_path(name)) is not None:
        if revision is not None:
            kind = "folder" if local.is_dir() else "file"
            raise ConfigError(f"revision '{revision}' is set but model '{name}' is a local {kind}; leave it out")
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
    """Bring a model of the hub into the local cache, or up to date there.

    The hub is always asked. Files that are there already are kept, and a connection that is cut is taken up again
    where it broke.

    Args:
        name: a name of the catalogue, or a hub id.
        revision: branch, tag or commit; None for the main branch.
        models: the catalogue.
        progress: show a bar if standard error is a terminal.
        by_run: whether a run asks, which can be advised to download ahead; the command that does so cannot.

    Raises:
        ModelError: absent, gated, unreachable, without usable weights, or no space on the disk.
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
    """Refuse what can be no place of files; the hub is not asked.

    Args:
        name: a name of the catalogue, a local folder, or a hub id.
        option: the parameter that a user names the place by, for messages.

    Raises:
        ModelError: it is none of these.
    """
    if Path(name).is_file():
        raise ModelError(f"{option} '{name}' is a file; name the folder that it is in")
    if name not in BACKBONE_MODELS.hub_ids and not Path(name).is_dir() and not _is_hub_id(name):
        raise ModelError(
            f"{option} '{name}' is neither an existing folder nor a hub id such as '{BACKBONE_MODELS.example}'; "
            "correct it"
        )


def locate_files(name: str, revision: str | None, file_sets: Sequence[Sequence[str]], *, option: str) -> Located | None:
    """Find files beside the weights of a model, such as its tokenizer, downloading them alone if need be.

    Args:
        name: a name of the catalogue, a local folder, or a hub id.
        revision: branch, tag or commit on the hub; None for the main branch.
        file_sets: names of files; the first set that is whole is enough.
        option: the parameter that a user names another place by, for messages.

    Returns:
        The folder; None if it has no set whole.

    Raises:
        ModelError: no such place, or the hub cannot be reached.
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
    """Whether configuration and weights of a model lie whole in the local cache; asks no network."""
    return _whole_snapshot(hub_id, revision) is not None


def check_weights(
    paths: Sequence[Path], expected: str | None, name: str, *, published: str | None = None, anew: bool = False
) -> dict[str, str]:
    """Compare weights with every hash that is known of them, and return their hashes.

    The hub's cache calls a large file by its SHA-256; torch.hub ends the name of a file with the first digits of it.

    Args:
        paths: the files that will be loaded.
        expected: what the configuration says of a single file: its SHA-256, or at least the first 8 digits.
        name: of the model, as the configuration has it.
        published: the SHA-256 of the single file that a name of a catalogue stands for; None if it is not known.
        anew: read the files in any case; if not, a hash that is kept of an unchanged file is as good.

    Returns:
        SHA-256 by file name.

    Raises:
        ConfigError: ``expected`` is no SHA-256, or there are several files.
        ModelError: a file is damaged, unreadable, or not the one that was asked for.
    """
    if expected is not None:
        expected = _checked_prefix(expected, paths, name)
    digests = {path.name: _digest(path, name, anew=anew) for path in paths}
    for path in paths:
        digest = digests[path.name]
        if not digest.startswith(_hash_in_cache(path)):
            raise ModelError(
                f"the weights of model '{name}' are damaged: {path.resolve()} does not have the SHA-256 that the hub "
                f"gave for it; delete this file and download it again (`{_download_command(name, None)}`)"
            )
        if not digest.startswith(_hash_in_name(path)):
            raise ModelError(
                f"the weights of model '{name}' are damaged: the SHA-256 of {path} begins with {digest[:8]}, not as "
                "its name says; download it again, or rename it if its name ends in something else"
            )
        if published is not None and digest != published:
            raise ModelError(
                f"the weights of model '{name}' are damaged: the SHA-256 of {path} is {digest}, not {published}; "
                f"delete this file and download it again (`{_download_command(name, None)}`)"
            )
        if expected is not None and not digest.startswith(expected):
            raise ModelError(
                f"the weights of model '{name}' are not those that the configuration asks for: the SHA-256 of {path} "
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
            f"model '{name}' is a file but not a .pth checkpoint; name the folder that holds config.json and weights"
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
        raise ModelError(f"model '{name}' lies on this machine already; only models of the hub can be downloaded")
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
    """The folder of a model in the local cache, if nothing is missing there."""
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
        # Without a limit, a firewall that swallows packets would keep the caller waiting for ever.
        info = huggingface_hub.HfApi().model_info(hub_id, revision=revision, timeout=constants.HF_HUB_ETAG_TIMEOUT)
    except HfHubHTTPError:
        raise
    except (HTTPError, OfflineModeIsEnabled) as error:
        raise LocalEntryNotFoundError(str(error)) from None
    return {file.rfilename for file in info.siblings or []}


def _form_on_hub(hub_id: str, revision: str | None, files: Collection[str]) -> Form:
    """The form of a model; where there are configurations of two, the one of ``transformers`` decides by its content.

    timm's folders may hold its own image tower beside open_clip's whole model.
    """
    if OPEN_CLIP_CONFIG not in files:
        return TRANSFORMERS
    if CONFIG not in files:
        return OPEN_CLIP
    config = huggingface_hub.hf_hub_download(hub_id, CONFIG, revision=revision, tqdm_class=_HiddenBar)
    return TRANSFORMERS if names_type(Path(config)) else OPEN_CLIP


def _wanted(files: Collection[str], form: Form, name: str) -> list[str]:
    """What of a model is downloaded: configurations, tokenizer and one set of weights, as patterns."""
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
                f"model '{name}' is not whole in {constants.HF_HUB_CACHE}, which you cannot write to; have its owner "
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
    reason = "HF_HUB_OFFLINE forbids to ask the hub" if is_offline else "the hub cannot be reached"
    if not by_run and is_cached(hub_id, revision):
        return f"model '{name}' is whole in the local cache and can be used, but {reason} for a newer state of it"
    if by_run:
        fix = f"download it ahead where there is a network (`{_download_command(name, revision)}`)"
    elif is_offline:
        fix = "unset HF_HUB_OFFLINE where there is a network"
    else:
        fix = (
            "connect this machine to the network, or bring the folder "
            f"{Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=hub_id, repo_type='model')} from one that has it"
        )
    return f"model '{name}' is not whole in the local cache and {reason}; {_known(hub_id, models)}{fix}, or " + (
        f"point '{option}' at a local folder{_or_file(hub_id, models)}{_gate(hub_id, models)}"
    )


def _or_file(hub_id: str, models: PublishedModels) -> str:
    """What else a model may be but a folder; empty for any that is not published as a single file too."""
    if (address := models.files.get(hub_id)) is None:
        return ""
    return f" or file, such as {address}, which has the same weights as {hub_id}"


def _known(hub_id: str, models: PublishedModels) -> str:
    """A doubt whether there is such a model, which the hub cannot be asked, where no catalogue knows it."""
    if hub_id in models.hub_ids.values():
        return ""
    hint = nearest_hint(hub_id, models.hub_ids.values(), or_all=False)
    return f"check its id, which {models.command} does not list{hint}; if it is right, "


def _gate(hub_id: str, models: PublishedModels) -> str:
    """What else a gated model of the catalogue takes; empty for any other."""
    if hub_id not in models.gated:
        return ""
    return f"; it is gated: {_way_through_gate(hub_id)}{_way_around_gate(hub_id, models)}"


def _way_through_gate(hub_id: str) -> str:
    if huggingface_hub.get_token():
        return f"accept its licence on {_page(hub_id)} with the account of your token"
    return f"accept its licence on {_page(hub_id)} and log in with `hf auth login`, or set HF_TOKEN"


def _way_around_gate(hub_id: str, models: PublishedModels) -> str:
    if (twin := models.twins.get(hub_id)) is not None:
        return f", or use '{twin}', which has the same weights and no gate"
    return f", or use '{models.ungated}', another model, without a gate"


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
            f"'{expected}' is no SHA-256 of model '{name}'; give its 64 hexadecimal digits, or at least 8"
        )
    if len(paths) != 1:
        raise ConfigError(
            f"model '{name}' has {len(paths)} files of weights, so that one SHA-256 cannot fit; leave it out"
        )
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
    """The SHA-256 by which the hub's cache calls a file; empty for a small file or one that lies elsewhere."""
    # One step only: a blob may itself be a link into a store where files are called by another hash of 64 digits.
    blob = path.readlink() if path.is_symlink() else path
    return blob.name if blob.parent.name == "blobs" and SHA256.fullmatch(blob.name) else ""


def _hash_in_name(path: Path) -> str:
    found = SHA256_IN_NAME.search(path.name)
    return found[1] if found else ""


class _HiddenBar(tqdm):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{**options, "disable": True})
