"""The software environments that Snakemake provides for jobs: conda environments and the container."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from zsad.errors import ConfigError
from zsad.files.user_paths import shell_sign
from zsad.workflow.entries import BackboneEntry, SegmenterEntry
from zsad.workflow.settings import Settings

ENVIRONMENT = "envs/zsad.yaml"
ENVIRONMENTS_BY_DEVICE = {"cuda": "envs/zsad-cuda.yaml"}

UNBOUND = ":,"  # separators in the lists of folders that are given to a container
CACHES = ("XDG_CACHE_HOME", "HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "TORCH_HOME")


def device_environment(device: str) -> str:
    """The conda environment of rules that compute on the configured device, relative to the workflow.

    It depends only on the configuration: a job that reads the workflow again on another machine finds the same one. All
    other rules have `ENVIRONMENT`, so that their results are not made again when the device changes.
    """
    return ENVIRONMENTS_BY_DEVICE.get(device, ENVIRONMENT)


def image_address(container: str, workflow: Path) -> str:
    """The address of the configured ``container``: the absolute path of a file, or an unchanged URL (``docker://..``).

    Args:
        workflow: the base folder of a relative path.
    """
    return container if "://" in container else str(workflow / container)


def check_image(address: str, *, environments_too: bool = False) -> None:
    """Check that the container can be used, as far as possible without running it.

    Args:
        address: from `image_address`.
        environments_too: whether conda environments were requested as well.

    Raises:
        ConfigError: the container is not a file, has a shell character in its path, or is combined with conda
            environments.
    """
    if environments_too:
        raise ConfigError(
            "--sdm conda and --sdm apptainer exclude each other, since the container has all software; give one of them"
        )
    if "://" in address:
        return
    if not Path(address).is_file():
        raise ConfigError(
            f"container '{address}' does not exist; build it with `apptainer build envs/zsad.sif envs/zsad.def` "
            "in the workflow's folder, or set 'container' to your own container"
        )
    if sign := shell_sign(address):
        raise ConfigError(
            f"container '{address}' has {'a space' if sign == ' ' else repr(sign)} in its path, which Snakemake "
            "cannot run; move it, and set 'container' to its new path"
        )


def image_environment(
    settings: Settings, workflow: Path, environment: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """The environment variables with which jobs in the container find the same files as outside.

    Snakemake binds the working folder, which also becomes the home folder inside. So the cache of weights must be set,
    and the workflow, the data, local models, and the shared folder must be bound to their own paths. The user must bind
    targets of links with ``--apptainer-args "--bind FOLDER"``.
    """
    caches = {"XDG_CACHE_HOME": str(Path.home() / ".cache")}
    caches |= {name: environment[name] for name in CACHES if environment.get(name)}
    entries: tuple[BackboneEntry | SegmenterEntry, ...] = (*settings.backbones.values(), *settings.segmenters.values())
    models = [Path(file).parent for entry in entries for file in entry.local_files()]
    shared = [settings.sharing.root] if settings.sharing.root else []
    data = [place for data_set in settings.data_sets for place in (data_set.root, data_set.download_to)]
    data += _folders_of_examples(settings)
    folders = [workflow, *data, *models, *shared, *map(Path, caches.values())]
    # The variables of the commands that Snakemake looks for, in its order.
    variable = "APPTAINER_BIND" if shutil.which("apptainer") else "SINGULARITY_BIND"
    bound = [bind for bind in environment.get(variable, "").split(",") if bind]
    return caches | {variable: ",".join(dict.fromkeys([*bound, *_outside(folders)]))}


def _folders_of_examples(settings: Settings) -> list[Path]:
    """The folders of labelled examples outside of the data set; a table may list images of any folder."""
    categories = settings.data.categories if settings.data.is_here else []
    found: list[Path] = []
    for support in settings.supports.values():
        found.append(support.place)
        found += [
            path.parent
            for category in categories
            for path in support.files(category)
            if not path.is_relative_to(support.place)
        ]
    return list(dict.fromkeys(found))


def _outside(folders: list[Path]) -> list[str]:
    """The folders outside of the working folder, or their existing parents.

    Raises:
        ConfigError: one of them, or the working folder, cannot be bound in a container.
    """
    found: list[str] = []
    if sign := next((sign for sign in UNBOUND if sign in str(Path.cwd())), None):
        raise ConfigError(_unbound("working folder", Path.cwd(), sign))
    for folder in folders:
        place = folder.expanduser().absolute()
        while not place.is_dir():
            place = place.parent
        if place != Path(place.anchor) and not place.is_relative_to(Path.cwd()):
            if sign := next((sign for sign in UNBOUND if sign in str(place)), None):
                raise ConfigError(_unbound("folder", place, sign))
            found.append(str(place))
    return found


def _unbound(what: str, folder: Path, sign: str) -> str:
    return (
        f"the {what} {folder} has '{sign}' in its path, which separates folders in the options of a container; "
        "move or rename it, or run without --sdm apptainer"
    )
