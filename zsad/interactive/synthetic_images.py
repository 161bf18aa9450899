"""Make synthetic images with anomalies from photographs in memory, for methods that are trained on them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2

from zsad.adaptation.make_synthetic import make_synthetic
from zsad.data.image_list import ListedImage, read_image_list, write_images
from zsad.features.base import Backbone
from zsad.files.provenance import file_sha256
from zsad.inspecting.reading import pixels_of
from zsad.interactive.extracting import Image, extract
from zsad.interactive.written_tokens import written_tokens
from zsad.scoring.fit_method import SyntheticFiles


def synthetic_images(
    folder: Path, references: Sequence[Image], names: Sequence[str], subset: str, backbone: Backbone, device: str
) -> SyntheticFiles:
    """Make the synthetic images of a subset from references, as the workflow does, and extract their features.

    Args:
        folder: for the images and their features.
        names: of the references.
        subset: its name defines the images, see `zsad.data.subsets.synthetic_subset`.
        device: as for `zsad.extract`.

    Raises:
        DataError: a reference cannot be read, or no synthetic image can be made of it.
    """
    known = [_listed(folder / f"{place}.png", *each) for place, each in enumerate(zip(names, references, strict=True))]
    training, images, manifest, origins = (folder / f"{name}.csv" for name in ("training", "images", "of_made", "from"))
    write_images(training, known)
    make_synthetic(
        training_list=training,
        category="references",
        subset=subset,
        images=images,
        manifest=manifest,
        origins=origins,
        sheet=folder / "sheet.png",
    )
    made = read_image_list(images)
    tokens = extract([each.path for each in made], backbone, image_ids=[each.image_id for each in made], device=device)
    return SyntheticFiles(written_tokens(tokens, folder / "synthetic.h5"), manifest, origins)


def _listed(path: Path, name: str, reference: Image) -> ListedImage:
    """Write a reference as a lossless file; return its row in the list of images."""
    pixels = pixels_of(reference, None)
    cv2.imwrite(str(path), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    height, width = pixels.shape[:2]
    return ListedImage(name, str(path), "train", height, width, file_sha256(path))
