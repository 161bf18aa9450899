"""Foundation models: vision transformers and ConvNeXts of the DINO families, CLIP, SigLIP and TIPSv2, frozen.

DINO (Caron et al., ICCV 2021), DINOv2 (Oquab et al., TMLR 2024), DINOv2 with registers (Darcet et al., ICLR 2024),
DINOv3 (Siméoni et al., 2025), CLIP (Radford et al., ICML 2021), SigLIP (Zhai et al., ICCV 2023), SigLIP 2 (Tschannen et
al., 2025), TIPSv2 (Cao et al., CVPR 2026). `zsad.models.catalogue` lists those known by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from zsad.features.assumed import ACTIVATION_BYTES
from zsad.features.base import Backbone, NamedModel
from zsad.features.execution import Execution
from zsad.features.network_options import NetworkOptions
from zsad.files.tracked import local_files
from zsad.models.catalogue import MODELS, facts_of
from zsad.models.weight_files import files_beside

if TYPE_CHECKING:
    from zsad.features.architecture import Architecture
    from zsad.features.network import NetworkExtractor
    from zsad.grids import TokenLayout


class HuggingFace(NetworkOptions, Backbone):
    """The patch and class tokens of chosen layers of a frozen network."""

    summary: ClassVar[str] = (
        "Any checkpoint of DINO, DINOv2, DINOv3, CLIP, SigLIP or TIPSv2: hub id, local folder or .pth file."
    )
    takes_any: ClassVar[bool] = True

    @classmethod
    def params_of(cls, reference: str) -> dict[str, Any] | None:
        """The model's place, and for a published one its suitable parameters; any hub id or path is a model."""
        if facts := facts_of(reference):
            return {"model": facts.hub_id, "resolution": facts.resolution, "layers": facts.layers}
        return {"model": reference} if "/" in reference or Path(reference).exists() else None

    @classmethod
    def models(cls) -> Sequence[NamedModel]:
        """The published models."""
        return tuple(MODELS.values())

    @classmethod
    def has(cls, name: str) -> bool:
        """Whether a published model is completely in the hub's cache."""
        # It imports the hub's client.
        from zsad.models.hub import is_cached

        return is_cached(MODELS[name].hub_id, revision=None)

    def check_model(self) -> None:
        """Check resolution, tiles and layers against the model; see `zsad.features.fitting`."""
        # Only an unpublished model makes this import torch and transformers.
        from zsad.features.fitting import check_fit

        check_fit(self)

    def weights_megabytes(self) -> int | None:
        """As published, or by the files of a model on this machine; None for any other."""
        if facts := facts_of(self.model):
            return round(1000 * facts.gigabytes)
        return sum(Path(path).stat().st_size for path in local_files(self.model)) // 10**6 or None

    def local_files(self) -> list[str]:
        """The files of a model in a local folder, or its single file and the description beside it."""
        return sorted([*local_files(self.model), *(path.as_posix() for path in files_beside(Path(self.model)))])

    def known_layout(self) -> TokenLayout | None:
        """The layout of its tokens, for a published model or one in a local folder."""
        if facts_of(self.model) is None and not Path(self.model).expanduser().is_dir():
            return None
        return self.layout_here()

    def layout_here(self) -> TokenLayout | None:
        """The layout of its tokens, also for a model in the hub's cache."""
        network = self.network()
        return None if network is None else self.layout_of(network)

    def assumed_layout(self) -> TokenLayout:
        """As published, as in its ``config.json``, or that of a ViT with the same number of weights."""
        layout = self.layout_of(self.assumed_network())
        return layout if layout.layers is not None else layout._replace(layers=tuple(map(str, self.layers)))

    def operations(self, height: int, width: int) -> float | None:
        """Operations of the matrix products; None for a model that is not here, and for a ``.pth`` file."""
        from zsad.features.architecture import operations_for

        network = self.network()
        return None if network is None else operations_for(self, network, height, width)

    def assumed_operations(self, height: int, width: int) -> float:
        """The operations of the network behind `assumed_layout`."""
        from zsad.features.architecture import operations_for

        return operations_for(self, self.assumed_network(), height, width)

    def network(self) -> Architecture | None:
        """The sizes of the network, see `zsad.features.architecture.architecture_of`."""
        from zsad.features.architecture import architecture_of

        return architecture_of(self)

    def assumed_network(self) -> Architecture:
        """The sizes of the network, known or assumed, see `zsad.features.architecture.assumed_architecture`."""
        from zsad.features.architecture import assumed_architecture

        return assumed_architecture(self, self.assumed_megabytes())

    def layout_of(self, network: Architecture) -> TokenLayout:
        """The token layout of a network of these sizes."""
        from zsad.features.architecture import layout_of

        return layout_of(self, network)

    def number_format(self, device: str) -> str:
        """The number format for ``dtype`` on a device; this imports torch.

        Raises:
            ConfigError: float16 on a CPU.
        """
        from zsad.device import number_format

        return str(number_format(self.dtype, device)).removeprefix("torch.")

    def working_bytes(self, height: int, width: int) -> float:
        """The widest point of a block, for all patches of the image at once."""
        network = self.assumed_network()
        rows, columns = self.layout_of(network).rule.size(height, width)
        return ACTIVATION_BYTES * rows * columns * network.width

    def load(self, execution: Execution) -> NetworkExtractor:
        """Load the checkpoint onto the device.

        Raises:
            ConfigError: resolution, layers, device or number format do not fit the model or the machine.
            ModelError: the model is missing, gated, damaged, or of an unknown family.
        """
        # This imports torch and transformers, which the declaration of parameters must not.
        from zsad.features.network import load_extractor

        return load_extractor(self, execution)
