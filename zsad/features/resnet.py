"""ResNets and Wide ResNets, from the hub or from local files: the networks of most papers on this subject.

He et al., CVPR 2016; Zagoruyko and Komodakis, BMVC 2016. PatchCore (Roth et al., CVPR 2022) and many others use the
outputs of ``layer2`` and ``layer3`` of a Wide ResNet 50-2, PaDiM (Defard et al., ICPR 2021) those of ``layer1`` to
``layer3``, also of a ResNet-18.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from zsad.errors import ConfigError, DataError, ModelError
from zsad.features.base import NamedModel
from zsad.features.cnn.family import PATCH, VALUE_BYTES, Cnn
from zsad.features.cnn.published import EMBEDDINGS, Embedding
from zsad.features.cnn.residual import MODEL_TYPE, PUBLISHED, STEM_STRIDE, ResNetShape, timm_network
from zsad.features.constant import CONSTANT_WEIGHT
from zsad.files.json_values import read_foreign_json
from zsad.files.user_paths import UserPath
from zsad.grids import GridRule, TokenLayout
from zsad.models.catalogue import RESNETS, network_of, resnet_facts_of
from zsad.models.held import take_or_load

if TYPE_CHECKING:
    from zsad.features.cnn.extractor import MapsExtractor
    from zsad.features.cnn.places import MapLayer
    from zsad.features.cnn.trunk import Padding, Trunk
    from zsad.features.execution import Execution

LAYERS = (2, 3)
SUFFIXES = (".pth", ".pt")
PUBLISHED_FILE = re.compile(rf"({'|'.join(PUBLISHED)})-[0-9a-f]{{8,64}}\.pth")  # torchvision's file names
ANY_FILE = re.compile(r"(wide_)?resnet\d+([-_.].*)?\.pth?")


class ResNet(Cnn):
    """The outputs of chosen stages of a ResNet, standardised by its batch norms, or combined as in a paper.

    With ``embedding: stages`` tokens are computed as for all convolutional networks here: each channel standardised by
    its training statistics, maps padded by their border, cells interpolated at their true positions, a constant
    channel, unit length. The others are the features of two papers, computed as by their authors: maps padded with
    zeros, raw channels, so that those with large values dominate, and vectors of any length.

    ``patchcore``
        Roth et al., CVPR 2022: stages 2 and 3, averaged over 3 x 3 cells each and pooled to 1024 channels together; one
            token per 8 px. Their bank uses Euclidean distances of raw tokens.
    ``padim``
        Defard et al., ICPR 2021: stages 1, 2 and 3 concatenated, 448 channels for a ResNet-18, 1792 for a Wide ResNet
            50, one token per 4 px. The random choice of 100 or 550 of them belongs to the method (``padim``,
            ``channels``).

    Three departures remain. The authors resize to 256 px and crop the middle 224 x 224 px; nothing is cropped here, and
    ``resolution: 224`` gives their grid. EfficientAD's authors have measured the effect of the crop for PatchCore on
    MVTec AD, where defects are in the middle: an image AUROC of 99.2 with it, as published, and of 98.7 without it.
    Images are resized bicubically, theirs bilinearly. And tokens are stored in float16, like all tokens: the error of a
    value is at most 0.05 %, that of a distance of two tokens of a photograph .003 % in the median and at most .12 %,
    with networks of random weights; values beyond 65504 are rejected. On a GPU, ``dtype: float32`` computes in the
    authors' format.

    As in the papers, a token is centred at the first pixel of its patch instead of the middle, 3.5 px (or 1.5 px)
    further.
    """

    summary: ClassVar[str] = "ResNet and Wide ResNet: by name, a .pth file of torchvision, or a local folder."

    model: Annotated[UserPath, Field(min_length=1)] = Field(
        description="name of the catalogue (wide-resnet50-2), a .pth file of torchvision "
        "(wide_resnet50_2-95faca4d.pth), or a local folder of transformers or timm"
    )
    revision: str | None = Field(
        None, description="for a name: branch, tag or commit on the hub; null for its main branch"
    )
    sha256: Annotated[str, Field(pattern="^[0-9a-fA-F]{8,64}$")] | None = Field(
        None, description="required SHA-256 of the weights file, or its first 8 or more digits; null for any"
    )
    embedding: Literal["stages", "patchcore", "padim"] = Field(
        "stages",
        description="how tokens are computed: stages (those of layers, standardised), or like the authors of "
        "patchcore (layers 2 and 3, raw, pooled to 1024 channels) or padim (layers 1 to 3, raw, "
        "concatenated)",
    )
    layers: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)] = Field(
        LAYERS,
        description="for embedding stages: stages whose output is kept, by the numbers of torchvision's layer1 to "
        "layer4",
    )

    @model_validator(mode="after")
    def _embedding_takes_the_rest(self) -> Self:
        published = self._published
        if published is None:
            return self
        if self.layers not in (LAYERS, published.stages):
            raise ValueError(
                f"embedding {self.embedding} reads layers {list(published.stages)}; remove layers, or set embedding "
                "to stages"
            )
        if self.constant not in (0, CONSTANT_WEIGHT):
            raise ValueError(
                f"embedding {self.embedding} has no constant channel; remove constant, or set embedding to stages"
            )
        return self

    @classmethod
    def params_of(cls, reference: str) -> dict[str, Any] | None:
        """A published ResNet, a ``.pth`` file named as torchvision's are, or a folder whose config is of a ResNet."""
        if facts := resnet_facts_of(reference):
            return {"model": facts.hub_id, "resolution": facts.resolution}
        path = Path(reference).expanduser()
        if path.suffix in SUFFIXES:
            return {"model": reference} if ANY_FILE.fullmatch(path.name) else None
        return {"model": reference} if _is_folder_of_one(path) else None

    @classmethod
    def models(cls) -> Sequence[NamedModel]:
        """The published networks."""
        return tuple(RESNETS.values())

    @classmethod
    def has(cls, name: str) -> bool:
        """Whether a published network is completely in the hub's cache."""
        # It imports the hub's client.
        from zsad.models.hub import is_cached

        return is_cached(RESNETS[name].hub_id, revision=None)

    def check_model(self) -> None:
        """Check the layers against the network: by its name, or by the shapes of its tensors; no weights are read.

        Raises:
            ConfigError: a layer does not exist or is named twice, or a revision of a local model.
            ModelError: a local model is missing, damaged, or not a ResNet.
        """
        self._check_layers(self._shape() if self._is_of_hub else self._shape_read())

    def weights_megabytes(self) -> int | None:
        """Size of the weights in float32, 10^6 bytes."""
        return round(4 * self._shape().parameters() / 10**6)

    def local_files(self) -> list[str]:
        """The file, or ``config.json`` and the weights in the folder; empty for a model of the hub."""
        path = Path(self.model)
        if self._is_of_hub:
            return []
        if not path.is_dir():
            return [self.model]
        return sorted(str(file) for file in path.iterdir() if file.suffix in (".json", ".safetensors", ".bin"))

    def kept_layers(self) -> Sequence[MapLayer]:
        """See `Cnn.kept_layers`.

        Raises:
            ModelError: the model is missing, damaged, or not a ResNet.
        """
        shape = self._shape()
        self._check_layers(shape)
        return shape.layers(self._stages)

    def known_layout(self) -> TokenLayout:
        """See `Cnn.known_layout`; for a published embedding, one layer with its name."""
        published = self._published
        if published is None:
            return super().known_layout()
        rule = GridRule(self.resolution // PATCH, PATCH // published.stride)
        return TokenLayout(rule, (published.name,), published.token_channels(self._widths()))

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        """See `Cnn.input_size`; a published embedding has no margin."""
        published = self._published
        if published is None:
            return super().input_size(height, width)
        rows, columns = self.known_layout().rule.size(height, width)
        return published.stride * rows, published.stride * columns

    def working_bytes(self, height: int, width: int) -> float:
        """See `Cnn.working_bytes`; for a published embedding, with its intermediate maps."""
        published = self._published
        if published is None:
            return super().working_bytes(height, width)
        grid = self.known_layout().rule.size(height, width)
        return super().working_bytes(height, width) + VALUE_BYTES * published.values_at_once(self._widths(), *grid)

    def network_operations(self, height: int, width: int) -> float:
        """See `Cnn.network_operations`."""
        return self._computed().operations(height, width)

    def widest_values(self, height: int, width: int) -> int:
        """See `Cnn.widest_values`."""
        return self._computed().widest_values(height, width)

    def multiple(self) -> int:
        """See `Cnn.multiple`."""
        return self._computed().strides()[-1]

    def load(self, execution: Execution) -> MapsExtractor:
        """Load the weights onto the device.

        Raises:
            ConfigError: a layer, the device or the number format does not fit the model or the machine.
            ModelError: the model is missing, damaged, not a ResNet, or not the one of its name.
        """
        # These import torch, which the declaration of parameters must not.
        from zsad.features.cnn.extractor import CnnExtractor
        from zsad.features.cnn.published_tokens import PublishedExtractor
        from zsad.features.cnn.resnet_weights import shape_of_model, weights_files
        from zsad.models.hub import check_weights, locate

        self._check_there()
        path, commit = locate(self.model, self.revision)
        digests = check_weights(weights_files(self.model, path), self.sha256, self.model)
        shape = shape_of_model(self.model, path)
        self._check_named(shape)
        self._check_layers(shape)
        padding: Padding = "replicate" if self._published is None else "zeros"
        trunk = take_or_load(
            f"{__name__}:{load_from.__name__}",
            path,
            (self.model, padding, *self._stages),
            lambda: load_from(path, self.model, padding, *self._stages),
        )
        model = {"id": self.model, "revision": commit, "weights_sha256": digests}
        if self._published is not None:
            return PublishedExtractor(trunk, self._published, self, execution, model)
        return CnnExtractor(trunk, self, execution, model)

    @property
    def _published(self) -> Embedding | None:
        return EMBEDDINGS.get(self.embedding)

    @property
    def _stages(self) -> tuple[int, ...]:
        return self.layers if self._published is None else self._published.stages

    def _widths(self) -> list[int]:
        """Channels of the kept stages."""
        return [layer.channels for layer in self.kept_layers()]

    @property
    def _is_of_hub(self) -> bool:
        """Whether it is from the hub; a local folder of the same name takes precedence."""
        return resnet_facts_of(self.model) is not None and not Path(self.model).is_dir()

    @property
    def _network(self) -> str | None:
        """The published network of this name, or of torchvision's file name."""
        if facts := resnet_facts_of(self.model):
            return network_of(facts)
        named = PUBLISHED_FILE.fullmatch(Path(self.model).name)
        return named[1] if named else None

    def _shape(self) -> ResNetShape:
        """The sizes by the name of a published network, without importing a framework, or else by its tensors."""
        return PUBLISHED[self._network] if self._network else self._shape_read()

    def _shape_read(self) -> ResNetShape:
        from zsad.features.cnn.resnet_weights import shape_of_model
        from zsad.models.hub import locate

        self._check_there()
        shape = shape_of_model(self.model, locate(self.model, self.revision).path)
        self._check_named(shape)
        return shape

    def _computed(self) -> ResNetShape:
        shape = self._shape()
        self._check_layers(shape)
        return shape.up_to(max(self._stages))

    def _check_there(self) -> None:
        path = Path(self.model)
        if self._is_of_hub or path.is_dir() or (path.is_file() and path.suffix in SUFFIXES):
            return
        if path.exists():
            raise ModelError(
                f"model '{self.model}' is neither a .pth file nor a folder; give torchvision's weights file, or a "
                "folder of transformers or timm"
            )
        raise ModelError(
            f"the model file or folder '{self.model}' does not exist; correct 'model', which for the family resnet is "
            f"a name ({', '.join(RESNETS)}), or a .pth file of torchvision, or a folder of transformers or timm on "
            "this machine"
        )

    def _check_named(self, shape: ResNetShape) -> None:
        """Reject a network with the name of another published one: its size was derived from the name."""
        network = self._network
        if network and shape != PUBLISHED[network]:
            fix = "set another revision" if self._is_of_hub else "rename it"
            raise ModelError(
                f"the weights of model '{self.model}' are not of a {network}, contrary to its name; {fix}, "
                "or download the right one"
            )

    def _check_layers(self, shape: ResNetShape) -> None:
        for layer in self._stages:
            if layer > len(shape.stages):
                raise ConfigError(
                    f"model '{self.model}' has no layer {layer}; its stages are layers 1 to {len(shape.stages)}"
                )
        if len(set(self.layers)) < len(self.layers):
            raise ConfigError(f"layers {list(self.layers)} contain a stage of model '{self.model}' twice; remove one")
        if self._published is not None and shape.strides()[0] != STEM_STRIDE:
            raise ConfigError(
                f"embedding {self.embedding} is for networks whose first stage has a stride of {STEM_STRIDE} px, and "
                f"that of model '{self.model}' has {shape.strides()[0]} px; set embedding to stages"
            )


def load_from(path: Path, model: str, padding: Padding, *kept: int) -> Trunk:
    """The network up to the last of the stages that are kept, from a file or a folder; also for `zsad.models.held`."""
    from zsad.features.cnn.resnet import trunk_of
    from zsad.features.cnn.resnet_weights import read_weights

    weights = read_weights(model, path)
    return trunk_of(weights.shape, weights.state, kept, padding)


def _is_folder_of_one(path: Path) -> bool:
    try:
        content = read_foreign_json(path / "config.json")
    except (DataError, OSError):
        return False
    return isinstance(content, dict) and (content.get("model_type") == MODEL_TYPE or timm_network(content) is not None)
