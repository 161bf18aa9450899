"""ResNets and Wide ResNets from files on this machine: the networks that most papers on the subject use.

He et al., CVPR 2016; Zagoruyko and Komodakis, BMVC 2016. PatchCore (Roth et al., CVPR 2022) and many others take the
outputs of ``layer2`` and ``layer3`` of a Wide ResNet 50-2.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from zsad.errors import ConfigError, DataError, ModelError
from zsad.features.cnn.family import Cnn
from zsad.features.cnn.residual import MODEL_TYPE, PUBLISHED, ResNetShape
from zsad.files.json_values import read_foreign_json
from zsad.files.user_paths import UserPath

if TYPE_CHECKING:
    from zsad.features.cnn.extractor import CnnExtractor
    from zsad.features.cnn.places import MapLayer
    from zsad.features.execution import Execution

SUFFIXES = (".pth", ".pt")
PUBLISHED_FILE = re.compile(rf"({'|'.join(PUBLISHED)})-[0-9a-f]{{8,64}}\.pth")  # as torchvision names its files
ANY_FILE = re.compile(r"(wide_)?resnet\d+([-_.].*)?\.pth?")


class ResNet(Cnn):
    """The outputs of chosen stages of a ResNet, standardised by its batch norms."""

    summary: ClassVar[str] = "ResNet and Wide ResNet: a .pth file of torchvision's, or a transformers folder."

    model: Annotated[UserPath, Field(min_length=1)] = Field(
        description="a .pth file of torchvision's (wide_resnet50_2-95faca4d.pth), or a local transformers folder"
    )
    sha256: Annotated[str, Field(pattern="^[0-9a-fA-F]{8,64}$")] | None = Field(
        None, description="SHA-256 that the file of weights must have, or its first 8 or more digits; null for any"
    )
    layers: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)] = Field(
        (2, 3), description="stages whose output is kept, by the numbers of torchvision's layer1 to layer4"
    )

    @classmethod
    def params_of(cls, reference: str) -> dict[str, Any] | None:
        """A ``.pth`` file that is named as torchvision's are, or a folder whose ``config.json`` is of a ResNet."""
        path = Path(reference).expanduser()
        if path.suffix in SUFFIXES:
            return {"model": reference} if ANY_FILE.fullmatch(path.name) else None
        return {"model": reference} if _is_folder_of_one(path) else None

    def check_model(self) -> None:
        """Compare the layers with the network, which the shapes of its tensors tell; no weights are read.

        Raises:
            ConfigError: a layer does not exist or is named twice.
            ModelError: the model is absent, damaged, or not a ResNet.
        """
        self._check_layers(self._shape_read())

    def weights_megabytes(self) -> int | None:
        """Size of the weights in float32, 10^6 bytes."""
        return round(4 * self._shape().parameters() / 10**6)

    def local_files(self) -> list[str]:
        """The file, or ``config.json`` and the weights in the folder."""
        path = Path(self.model)
        if not path.is_dir():
            return [self.model]
        return sorted(str(file) for file in path.iterdir() if file.suffix in (".json", ".safetensors", ".bin"))

    def kept_layers(self) -> Sequence[MapLayer]:
        """See `Cnn.kept_layers`.

        Raises:
            ModelError: the model is absent, damaged, or not a ResNet.
        """
        shape = self._shape()
        self._check_layers(shape)
        return shape.layers(self.layers)

    def network_operations(self, height: int, width: int) -> float:
        """See `Cnn.network_operations`."""
        return self._computed().operations(height, width)

    def widest_values(self, height: int, width: int) -> int:
        """See `Cnn.widest_values`."""
        return self._computed().widest_values(height, width)

    def multiple(self) -> int:
        """See `Cnn.multiple`."""
        return self._computed().strides()[-1]

    def load(self, execution: Execution) -> CnnExtractor:
        """Load the weights onto the device.

        Raises:
            ConfigError: a layer, the device or the number format does not fit the model or the machine.
            ModelError: the model is absent, damaged, or not a ResNet.
        """
        # These import torch, which declaring the parameters must not.
        from zsad.features.cnn.extractor import loaded_extractor
        from zsad.features.cnn.resnet import trunk_of
        from zsad.features.cnn.resnet_weights import read_weights, weights_files
        from zsad.models.hub import check_weights

        self._check_there()
        digests = check_weights(weights_files(self.model), self.sha256, self.model)
        weights = read_weights(self.model)
        self._check_named(weights.shape)
        self._check_layers(weights.shape)
        trunk = trunk_of(weights.shape, weights.state, self.layers)
        model = {"id": self.model, "revision": None, "weights_sha256": digests}
        return loaded_extractor(self, trunk, execution, model)

    def _shape(self) -> ResNetShape:
        """By the name of a file of torchvision's, so that no framework is imported for it, or else by its tensors."""
        named = PUBLISHED_FILE.fullmatch(Path(self.model).name)
        return PUBLISHED[named[1]] if named else self._shape_read()

    def _shape_read(self) -> ResNetShape:
        from zsad.features.cnn.resnet_weights import shape_of_model

        self._check_there()
        shape = shape_of_model(self.model)
        self._check_named(shape)
        return shape

    def _computed(self) -> ResNetShape:
        shape = self._shape()
        self._check_layers(shape)
        return shape.up_to(max(self.layers))

    def _check_there(self) -> None:
        path = Path(self.model)
        if path.is_dir() or (path.is_file() and path.suffix in SUFFIXES):
            return
        if path.exists():
            raise ModelError(
                f"model '{self.model}' is neither a .pth file nor a folder; give torchvision's file of weights, or a "
                "transformers folder"
            )
        raise ModelError(
            f"the model file or folder '{self.model}' does not exist; correct 'model', which for the family resnet is "
            "a .pth file of torchvision's or a transformers folder on this machine"
        )

    def _check_named(self, shape: ResNetShape) -> None:
        """Refuse a file that is called as a published one is and is another network: its size has been told by it."""
        named = PUBLISHED_FILE.fullmatch(Path(self.model).name)
        if named and shape != PUBLISHED[named[1]]:
            raise ModelError(
                f"the weights of model '{self.model}' are not those of a {named[1]}, as its name says; rename the "
                "file, or download the right one"
            )

    def _check_layers(self, shape: ResNetShape) -> None:
        for layer in self.layers:
            if layer > len(shape.stages):
                raise ConfigError(
                    f"model '{self.model}' has no layer {layer}; its stages are layers 1 to {len(shape.stages)}"
                )
        if len(set(self.layers)) < len(self.layers):
            raise ConfigError(f"layers {list(self.layers)} name a stage of model '{self.model}' twice; leave one out")


def _is_folder_of_one(path: Path) -> bool:
    try:
        content = read_foreign_json(path / "config.json")
    except (DataError, OSError):
        return False
    return isinstance(content, dict) and content.get("model_type") == MODEL_TYPE
