"""Models of images and texts: patches and whole images as vectors in a space shared with sentences.

CLIP (Radford et al., ICML 2021), OpenCLIP (Cherti et al., CVPR 2023), SigLIP 2 (Tschannen et al., 2025), TIPSv2, and
DINOv3 with dino.txt (Jose et al., CVPR 2025). For every path, the class token of each layer is the vector of the whole
image in that space; shorter vectors in a file are padded with zeros.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from zsad.features.assumed import ACTIVATION_BYTES
from zsad.features.base import ListedModel, NamedModel
from zsad.features.huggingface import HuggingFace
from zsad.features.network_options import NetworkOptions
from zsad.files.tracked import local_files
from zsad.files.user_paths import UserPath
from zsad.models.catalogue import MODELS
from zsad.models.dinotxt.facts import BACKBONE, NAME, PARAMETERS, PLACE
from zsad.models.image_text.options import ImageTextOptions, window_layers
from zsad.models.weight_files import TOKENIZER

if TYPE_CHECKING:
    from zsad.features.architecture import Architecture
    from zsad.features.execution import Execution
    from zsad.features.reading import Reading
    from zsad.grids import TokenLayout
    from zsad.models.texts.base import TextEncoder

DINOTXT = ListedModel(
    NAME,
    place=PLACE,
    parameters=MODELS[BACKBONE].parameters + PARAMETERS,
    licence=MODELS[BACKBONE].licence,
    gated=True,
    patch=MODELS[BACKBONE].patch,
    resolution=MODELS[BACKBONE].resolution,
    texts="head",
)


class ImageText(HuggingFace):
    """The patch tokens of a model of images and texts, and the vector of the whole image."""

    summary: ClassVar[str] = "CLIP, OpenCLIP, SigLIP2, TIPSv2 or dino.txt: images and texts in one space."
    takes_any: ClassVar[bool] = True
    has_texts: ClassVar[bool] = True
    for_texts: ClassVar[tuple[str, ...]] = ("tokenizer",)

    path: Literal["plain", "values", "windows"] = Field(
        "plain",
        description="where patch tokens come from: plain (the network's own), values (CLIP: a second path with "
        "value-value attention), or windows (CLIP: one pass per window of patches, for WinCLIP)",
    )
    first_value_block: int | None = Field(
        None,
        description="for path values: the first block of the second path, counted from 0; negative from the last; "
        "null for -19 (AnomalyCLIP's), or in models with fewer blocks -6 (CLIP Surgery's)",
    )
    windows: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)] = Field(
        (2, 3), description="for path windows: sides of the windows, patches"
    )
    class_norm: bool = Field(
        True,
        description="CLIP: whether the image's vector goes through the final LayerNorm before it is projected; "
        "AnomalyCLIP's code leaves it out",
    )
    projected: bool = Field(
        True, description="whether patch tokens are projected into the space of texts; false for APRIL-GAN's layers"
    )
    head: UserPath | None = Field(
        None, description="DINOv3: the .pth file of dino.txt with the vision head and the text encoder; null for none"
    )
    tokenizer: UserPath | None = Field(
        None, description="hub id or folder of the tokenizer of texts; null for the model's own, or CLIP's"
    )

    @model_validator(mode="after")
    def _path_takes_the_rest(self) -> Self:
        if self.path != "plain" and not self.projected:
            raise ValueError(f"path {self.path} is for the space of texts; set projected to true, or path to plain")
        if self.path != "windows":
            return self
        if len(set(self.windows)) < len(self.windows):
            raise ValueError(f"windows {list(self.windows)} contain a side twice; remove one")
        if self.layers != (-1,):
            raise ValueError("path windows reads windows and the last block's patches; remove layers")
        if self.tile is not None or self.fit == "pad" or self.debias:
            raise ValueError(
                "path windows reads whole images without a border; remove tile and debias, and set fit "
                "to short_side or square"
            )
        return self

    @classmethod
    def params_of(cls, reference: str) -> dict[str, Any] | None:
        """See `HuggingFace.params_of`; for dino.txt the backbone, whose head is a file of the user."""
        return super().params_of(BACKBONE if reference == DINOTXT.name else reference)

    @classmethod
    def models(cls) -> Sequence[NamedModel]:
        """The models whose texts need a separate file; `HuggingFace` lists the others."""
        return (DINOTXT,)

    @classmethod
    def has(cls, name: str) -> bool:
        """Always false: the place of the file is unknown."""
        return False

    def check_model(self) -> None:
        """See `HuggingFace.check_model`; also checks that a head fits the width of the model's tokens.

        Raises:
            ModelError: likewise; or ``tokenizer`` is not a valid place.
        """
        super().check_model()
        if self.tokenizer is not None:
            from zsad.models.hub import check_place  # imports the hub's client

            check_place(self.tokenizer, option="tokenizer")
        if self.head is not None:
            # It imports torch.
            from zsad.models.dinotxt.head_file import check_width, read_head_file

            path, network = Path(self.head), self.network()
            file = read_head_file(path)
            if network is not None:
                check_width(file, path, network.width, self.model)

    def options(self) -> ImageTextOptions:
        """The options for reading the network."""
        return ImageTextOptions(**{name: getattr(self, name) for name in ImageTextOptions._fields})

    def reading(self) -> Reading:
        """See `NetworkOptions.reading`."""
        from zsad.features.reading import ImageTextTokens

        return ImageTextTokens(self.options(), self.resolution)

    def weights_megabytes(self) -> int | None:
        """The size of the model's weights and of its head."""
        megabytes = super().weights_megabytes()
        if megabytes is None or self.head is None:
            return megabytes
        return megabytes + sum(Path(path).stat().st_size for path in local_files(self.head)) // 10**6

    def local_files(self) -> list[str]:
        """The files of the model without its tokenizer, and its head."""
        seen = [path for path in super().local_files() if Path(path).name not in TOKENIZER]
        return sorted({*seen, *(local_files(self.head) if self.head else ())})

    def network(self) -> Architecture | None:
        """See `HuggingFace.network`."""
        from zsad.features.architecture import architecture_of
        from zsad.features.image_text_network import in_space_of_texts

        network = architecture_of(self._by_itself())
        return None if network is None else in_space_of_texts(network, self.options())

    def assumed_network(self) -> Architecture:
        """See `HuggingFace.assumed_network`."""
        from zsad.features.architecture import assumed_architecture
        from zsad.features.image_text_network import in_space_of_texts

        return in_space_of_texts(assumed_architecture(self._by_itself(), self.assumed_megabytes()), self.options())

    def layout_of(self, network: Architecture) -> TokenLayout:
        """See `HuggingFace.layout_of`."""
        layout = super().layout_of(network)
        return layout._replace(layers=window_layers(self.windows)) if self.path == "windows" else layout

    def working_bytes(self, height: int, width: int) -> float:
        """See `HuggingFace.working_bytes`; for windows, those computed at a time, and the kept outputs of all."""
        from zsad.features.image_text_network import ImageTextNetwork
        from zsad.models.families.clip_windows import TOKENS_AT_A_TIME

        network = self.assumed_network()
        rows, columns = self.layout_of(network).rule.size(height, width)
        tokens = rows * columns
        if isinstance(network, ImageTextNetwork):
            tokens = max(tokens, min(network.tokens(rows, columns), TOKENS_AT_A_TIME["cpu"]))
        return ACTIVATION_BYTES * tokens * network.width + 4 * network.layers * rows * columns * network.channels

    def _by_itself(self) -> NetworkOptions:
        """The network options for reading only its tokens."""
        options = {name: getattr(self, name) for name in NetworkOptions.model_fields}
        return NetworkOptions(**{**options, "projected": False})

    def text_parameters(self) -> dict[str, Any]:
        """See `Backbone.text_parameters`."""
        return self.model_dump(mode="json", include={"model", "revision", "sha256", "head", "tokenizer"})

    def text_files(self) -> list[str]:
        """The files of the model, of its head and of its tokenizer; see `Backbone.text_files`."""
        return sorted({path for place in (self.model, self.head, self.tokenizer) for path in local_files(place)})

    def load_texts(self, execution: Execution) -> TextEncoder:
        """See `Backbone.load_texts`."""
        # These import torch.
        from zsad.device import resolve_device
        from zsad.models.texts.loading import TextModel, load_texts

        return load_texts(TextModel(**self.text_parameters()), resolve_device(execution.device))
