"""The command that downloads models and published data sets in advance of a run."""

from __future__ import annotations

import argparse
from pathlib import Path

from zsad.data.catalogue import datasets
from zsad.data.dataset import DOWNLOADS
from zsad.data.packages import installed
from zsad.errors import ModelError
from zsad.features.base import NamedModel
from zsad.features.registry import BACKBONES, listed
from zsad.segmentation.catalogue import facts_of as segmenter_facts_of
from zsad.workflow.settings import default_sharing


def download(options: argparse.Namespace) -> None:
    """Download the named models and data sets, and print where they are."""
    for name in options.names:
        if name in datasets():
            print(f"{name}: {_found_dataset(name, options.to)}")
            continue
        is_segmenter = segmenter_facts_of(name) is not None
        path, version = (_downloaded_segmenter if is_segmenter else _downloaded_backbone)(name, options.revision)
        print(f"{name}: {path}, {version}")


def _found_dataset(name: str, to: Path | None) -> str:
    """The place of a data set, downloaded unless a package provides it."""
    facts = datasets()[name]
    if facts.package:
        found = installed(facts.package, facts.title)
        return f"{found.root}, {found}, a package: nothing is downloaded"
    return str(_downloaded_dataset(name, to or default_sharing().downloads or DOWNLOADS))


def _downloaded_dataset(name: str, folder: Path) -> Path:
    """Download and unpack a data set; return its folder."""
    from zsad.data.download_dataset import download_dataset

    return download_dataset(name, folder, record=folder / f"{name}.json", progress=True, by_command=True)


def _downloaded_segmenter(name: str, revision: str | None) -> tuple[Path, str]:
    """Download a segmentation model; return its path and version."""
    from zsad.segmentation.weights import download as download_weights

    weights = download_weights(name, revision, progress=True)
    if weights.commit is None:
        return weights.path, f"SHA-256 {weights.sha256[weights.path.name]}"
    return weights.path, f"commit {weights.commit}"


def _downloaded_backbone(name: str, revision: str | None) -> tuple[Path | str, str]:
    """Download a backbone, also one of the hub that no catalogue lists; return its path and version."""
    from zsad.models.hub import BACKBONE_MODELS, check_weights
    from zsad.models.hub import download as download_model
    from zsad.models.weight_files import weight_files
    from zsad.segmentation.weights import published_models

    if name not in BACKBONE_MODELS.hub_ids and (known := listed(name)) is not None:
        return _local_source(*known), "on this machine: nothing is downloaded"
    located = download_model(name, revision, BACKBONE_MODELS.joined(published_models()), progress=True)
    check_weights(weight_files(located.path), None, name, anew=True)
    return located.path, f"commit {located.commit}"


def _local_source(family: str, model: NamedModel) -> str:
    """The source of a model that is not on the hub, such as a package.

    Raises:
        ModelError: it is missing or damaged.
    """
    kind = BACKBONES.load(family)
    kind.build(kind.params_of(model.name), where=f"backbone '{model.name}'").check_model()
    if not kind.has(model.name):
        source = f" ({model.place})" if model.place else ""
        raise ModelError(
            f"model '{model.name}'{source} of family '{family}' is not on this machine and cannot be downloaded from a "
            "hub; `zsad backbones` lists what the family needs"
        )
    return model.place or f"family '{family}'"
