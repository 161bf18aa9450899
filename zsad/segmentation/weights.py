"""Weights of promptable segmentation models: found locally or downloaded, and checked by their hashes.

Local files come first, so that a node of a cluster needs no network after ``zsad download``. The clients of the hub and
of other servers are imported where they are used: Snakemake reads this module each time it starts.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from zsad.errors import ConfigError, ModelError
from zsad.files import tracked as tracked_files
from zsad.models.weight_files import CONFIG, required_weights
from zsad.segmentation.catalogue import MODELS, SegmenterFacts, facts_of

if TYPE_CHECKING:
    from zsad.models.hub import PublishedModels


class Weights(NamedTuple):
    """Local weights, complete and checked as far as possible.

    Attributes:
        path: a ``.pth`` file, or a folder with ``config.json``.
        files: the files that hold the weights.
        commit: the hub's commit hash; None if not from the hub's cache.
        sha256: of each file, by its name.
    """

    path: Path
    files: list[Path]
    commit: str | None
    sha256: dict[str, str]


def find_weights(model: str, revision: str | None, sha256: str | None) -> Weights:
    """Find the weights of a model, download them if they are not complete locally, and check them.

    Args:
        model: a name of the catalogue such as ``"sam-vit-b"``, a local folder, a local ``.pth`` or ``.pt`` file, or a
            hub id such as ``"facebook/sam2.1-hiera-tiny"``; the first of these that fits.
        revision: branch, tag or commit on the hub; None for the main branch.
        sha256: expected SHA-256 of a single file, or at least its first 8 digits.

    Raises:
        ConfigError: a revision was given where there is none, or ``sha256`` is invalid or there are several files.
        ModelError: the weights are absent, gated, unreachable, incomplete, damaged, or not the expected file.
    """
    from zsad.models.hub import locate

    if (file := _file_of(model)) is not None:
        return _fetched(*file, revision, sha256, ahead=f"zsad download {model}")
    return _checked(model, *locate(model, revision, published_models()), sha256)


def download(name: str, revision: str | None, *, progress: bool = False) -> Weights:
    """Download a published model, or update it from the hub, and check it.

    Args:
        name: a name of the catalogue, or a hub id.
        revision: branch, tag or commit on the hub; None for the main branch.
        progress: show a bar if standard error is a terminal.

    Raises:
        ConfigError: a revision was given for a file that its authors publish.
        ModelError: the model is absent, gated, unreachable, without usable weights or damaged, or the disk is full.
    """
    from zsad.models.hub import download as download_from_hub

    if (file := _file_of(name)) is not None:
        return _fetched(*file, revision, progress=progress)
    return _checked(name, *download_from_hub(name, revision, published_models(), progress=progress), anew=True)


def is_cached(facts: SegmenterFacts) -> bool:
    """Whether the weights of a published model are complete locally; does not use the network."""
    if facts.hub_id is None:
        path = checkpoint_path(facts)
        return path.is_file() and path.stat().st_size == facts.size
    from zsad.models.hub import is_cached as is_in_cache_of_hub

    return is_in_cache_of_hub(facts.hub_id, revision=None)


def checkpoint_path(facts: SegmenterFacts) -> Path:
    """Path of the weights of a published model: in the folder where ``torch.hub`` stores such files."""
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(os.environ.get("TORCH_HOME", Path(cache) / "torch")).expanduser() / "hub" / "checkpoints" / facts.place


def local_files(model: str) -> list[str]:
    """The sorted files of a model in a local folder, or its single file; none for any other."""
    return [] if model in MODELS else tracked_files.local_files(model)


def weights_megabytes(model: str) -> int | None:
    """Size of the weights in float32, 10^6 bytes; None for a model of unknown size."""
    if (facts := facts_of(model)) is not None:
        return round(1000 * facts.gigabytes)
    return sum(Path(file).stat().st_size for file in local_files(model)) // 10**6 or None


def published_models() -> PublishedModels:
    """The facts of the catalogue needed to find a model on the hub."""
    from zsad.models.hub import PublishedModels

    return PublishedModels(
        hub_ids={facts.name: facts.hub_id for facts in MODELS.values() if facts.hub_id is not None},
        elsewhere=[facts.name for facts in MODELS.values() if facts.hub_id is None],
        command="`zsad segmenters`",
        example="facebook/sam2.1-hiera-tiny",
        twins={},
        gated={facts.hub_id for facts in MODELS.values() if facts.gated and facts.hub_id is not None},
        ungated="sam-vit-b",
        files={},
    )


def _file_of(name: str) -> tuple[SegmenterFacts, str] | None:
    """The facts of a model whose authors publish a file of weights, and its address; None for any other."""
    facts = MODELS.get(name)
    return (facts, facts.url) if facts is not None and facts.url is not None else None


def _fetched(
    facts: SegmenterFacts,
    url: str,
    revision: str | None,
    sha256: str | None = None,
    *,
    progress: bool = False,
    ahead: str | None = None,
) -> Weights:
    from zsad.files.download import DownloadError, fetch

    if revision is not None:
        raise ConfigError(
            f"revision '{revision}' is set but model '{facts.name}' is a file of its authors, of which there is one "
            "version; leave it out"
        )
    path = checkpoint_path(facts)
    try:
        fetch(
            url,
            path,
            name=f"model '{facts.name}'",
            sha256=facts.sha256,
            size=facts.size,
            progress=progress,
            ahead=ahead,
        )
    except DownloadError as error:
        raise ModelError(str(error)) from None
    by_command = ahead is None  # then the file is also checked
    return _checked(facts.name, path, None, sha256, published=facts.sha256, anew=by_command)


def _checked(
    model: str,
    path: Path,
    commit: str | None,
    sha256: str | None = None,
    *,
    published: str | None = None,
    anew: bool = False,
) -> Weights:
    from zsad.models.hub import check_weights

    files = _weight_files(path, model)
    return Weights(path, files, commit, check_weights(files, sha256, model, published=published, anew=anew))


def _weight_files(path: Path, model: str) -> list[Path]:
    if path.is_file():
        return [path]
    if not (path / CONFIG).is_file():
        raise ModelError(f"model '{model}' has no {CONFIG} in {path}; save it with save_pretrained")
    return required_weights(model, path)
