"""Flip consistency: the change of the backbone's feature of the same place in a mirrored image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

from zsad.data.subsets import FeatureSet
from zsad.scoring.base import ImageScore, Scorer
from zsad.scoring.compute import Compute
from zsad.scoring.similarity import cosine_distance
from zsad.scoring.token_source import TokenSource
from zsad.scoring.tokens import Layers, layer_indices, unit_tokens


class FlipConsistency(Scorer):
    """Score each patch by the change of its feature when the image is mirrored.

    With ``F(x)`` the unit patch features of the image, ``M`` the left-right mirror (of an image or a grid),

        ``E(p) = 1 - <F(x)[p], (M F(Mx))[p]>``,

    averaged over the layers. Both features describe the same place, so that ``E`` is zero wherever the backbone is
    equivariant to the mirror, for any object: it measures how stable the representation of the backbone is, not whether
    the object is symmetric (that is `MirrorSymmetry`).
    """

    summary: ClassVar[str] = "The change of a patch's feature when the image is mirrored: the same place seen twice."
    reference: ClassVar[str] = (
        'The "mirroring" of student projects with DINOv3, which flips the features of the flipped image back; '
        "related to anomaly scores from consistency under augmentation."
    )
    blind_to: ClassVar[str] = (
        "a defect whose representation is as stable as the rest, or a weakened texture: it measures how features "
        "change in a mirrored image, which most defects do not alter"
    )

    layers: Layers = None

    @property
    def setting(self) -> str:
        """One image at a time."""
        return "zero-shot-single"

    def feature_sets(self) -> dict[str, FeatureSet]:
        """The test images, as they are and mirrored."""
        return {"test": FeatureSet("test", "original"), "mirrored": FeatureSet("test", "hflip")}

    def score(self, features: Mapping[str, TokenSource], compute: Compute) -> Iterator[ImageScore]:
        """Yield ``E`` of each image, in order."""
        test, mirrored = features["test"], features["mirrored"]
        layers = layer_indices(test, self.layers)
        for index in range(len(test)):
            seen = unit_tokens(test, index, layers, compute.device)  # [layer, row, column, channel]
            seen_mirrored = unit_tokens(mirrored, index, layers, compute.device).flip(2)
            change = cosine_distance((seen * seen_mirrored).sum(dim=3))
            yield ImageScore(index, change.mean(dim=0).cpu().numpy())
