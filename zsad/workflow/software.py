"""The software that jobs run in, where Snakemake provides it: conda environments and the container image."""

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

UNBOUND = ":,"  # what separates folders, and what is done with them, in the lists that an image is given
CACHES = ("XDG_CACHE_HOME", "HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "TORCH_HOME")


def device_environment(device: str) -> str:
    """The conda environment of rules that compute on the device of the configuration, relative to the workflow.

    It follows from the configuration alone: a job that reads the workflow anew on another machine finds the same one.
    All other rules have `ENVIRONMENT`, so that nothing of theirs is made anew when the device changes.
    """
    return ENVIRONMENTS_BY_DEVICE.get(device, ENVIRONMENT)


def image_address(container: str, workflow: Path) -> str:
    """What is run of the configuration's ``container``: the absolute path of a file, or a URL (``docker://..``) as is.

    Args:
        workflow: the folder that a relative path is taken from.
    """
    return container if "://" in container else str(workflow / container)


def check_image(address: str, *, environments_too: bool = False) -> None:
    """Check that the image can be used, as far as that can be seen without running it.

    Args:
        address: from `image_address`.
        environments_too: whether conda environments were asked for as well.

    Raises:
        ConfigError: the image is no file, has a sign in its path that a shell reads as its own, or is to hold conda
            environments.
    """
    if environments_too:
        raise ConfigError(
            "--sdm conda and --sdm apptainer exclude each other, as the image has all software; give one of them"
        )
    if "://" in address:
        return
    if not Path(address).is_file():
        raise ConfigError(
            f"container image '{address}' does not exist; build it with `apptainer build envs/zsad.sif envs/zsad.def` "
            "in the workflow's folder, or set 'container' to an image of yours"
        )
    if sign := shell_sign(address):
        raise ConfigError(
            f"container image '{address}' has {'a space' if sign == ' ' else repr(sign)} in its path, which Snakemake "
            "cannot run; move it, and set 'container' to its new path"
        )


def image_environment(
    settings: Settings, workflow: Path, environment: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """What the environment must say for jobs in the image to find the files that they find outside of it.

    Snakemake shows an image the working folder, which also becomes the home in there. So the cache of weights must be
    named, and the workflow, the data, local models, and what is shared must be bound, each to where it is. What a link
    in there leads to is the user's to bind, by ``--apptainer-args "--bind FOLDER"``.
    """
    caches = {"XDG_CACHE_HOME": str(Path.home() / ".cache")}
    caches |= {name: environment[name] for name in CACHES if environment.get(name)}
    entries: tuple[BackboneEntry | SegmenterEntry, ...] = (*settings.backbones.values(), *settings.segmenters.values())
    models = [Path(file).parent for entry in entries for file in entry.local_files()]
    shared = [settings.sharing.root] if settings.sharing.root else []
    data = [place for data_set in settings.data_sets for place in (data_set.root, data_set.download_to)]
    data += _folders_of_examples(settings)
    folders = [workflow, *data, *models, *shared, *map(Path, caches.values())]
    # The variable of the command that Snakemake takes, in its order.
    variable = "APPTAINER_BIND" if shutil.which("apptainer") else "SINGULARITY_BIND"
    bound = [bind for bind in environment.get(variable, "").split(",") if bind]
    return caches | {variable: ",".join(dict.fromkeys([*bound, *_outside(folders)]))}


def _folders_of_examples(settings: Settings) -> list[Path]:
    """Where the labelled examples lie that are beside the data set; a table may list those of any folder."""
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
    """The folders, or what exists of the way to them, that do not lie in the working folder.

    Raises:
        ConfigError: one of them, or the working folder, cannot be given to an image.
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
        f"the {what} {folder} has '{sign}' in its path, which separates folders where a container image is given them; "
        "move or rename it, or run without --sdm apptainer"
    )
