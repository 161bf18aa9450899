"""The convolutional networks of DINOv3, distilled from its 7B transformer (Siméoni et al., 2025, section 5.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from zsad.lazy import torch, transformers
from zsad.models.families.base import Family, KeptOutputs, TokenReader

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import DINOv3ConvNextModel, PretrainedConfig

STEM_STRIDE = 4  # of the first stage; each further stage doubles it


class Dinov3ConvNext(Family["DINOv3ConvNextModel"]):
    """DINOv3 ConvNeXt; its layers are the stages, whose outputs have strides of 4, 8, 16 and 32 pixels."""

    model_type: ClassVar[str] = "dinov3_convnext"
    layer_noun: ClassVar[str] = "stage"
    has_attention: ClassVar[bool] = False

    def model_class(self) -> type[DINOv3ConvNextModel]:
        """``DINOv3ConvNextModel``."""
        return transformers.DINOv3ConvNextModel

    def patch(self, config: PretrainedConfig) -> int:
        """Stride of the last stage, pixels: with multiples of it, no stage crops a border."""
        return stage_stride(self.layer_count(config) - 1)

    def layer_count(self, config: PretrainedConfig) -> int:
        """Number of stages."""
        count: int = config.num_stages
        return count

    def reader(
        self,
        network: DINOv3ConvNextModel,
        config: PretrainedConfig,
        *,
        layers: Sequence[int],
        normed: bool,
        projected: bool,
        name: str,
    ) -> StageReader:
        """See `Family.reader`; only the last stage has a final LayerNorm, so that ``normed`` only affects it."""
        chosen = self.chosen_layers(config, layers, projected=projected, name=name)
        return StageReader(network, chosen, widths=config.hidden_sizes, patch=self.patch(config), normed=normed)


class StageReader(TokenReader):
    """Reads the outputs of chosen stages of a ConvNeXt, all on the grid of the finest of them.

    Coarser stages are interpolated bilinearly to that grid, then normalised, as in the authors'
    ``get_intermediate_layers``. Narrower stages are padded with channels of zeros, which change neither dot products
    nor distances. The class token of a stage is the mean of its output before both, normalised like the patches. Most
    of the time is spent in depthwise convolutions, which are faster with ``torch.channels_last``.

    Args:
        network: the stages after the last chosen one are removed from it.
        chosen: indices of the chosen stages.
        widths: channels of every stage.
    """

    cls_source = "mean of patch tokens"

    def __init__(
        self, network: DINOv3ConvNextModel, chosen: Sequence[int], *, widths: Sequence[int], patch: int, normed: bool
    ) -> None:
        self.patch = patch
        self.stride = stage_stride(min(chosen))
        self.prefix_tokens = 0
        self.layers = [str(stage) for stage in chosen]
        self.channels = max(widths[stage] for stage in chosen)
        self._stages = network.model  # not the network itself, whose final norm fits the last stage only
        last = len(widths) - 1
        self._norms = [network.layer_norm if normed and stage == last else None for stage in chosen]
        self._kept = KeptOutputs([network.model.stages[stage] for stage in chosen])
        del network.model.stages[max(chosen) + 1 :]

    def __call__(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """See `TokenReader.__call__`."""
        dtype = next(self._stages.parameters()).dtype
        maps = self._kept.of(lambda: self._stages(pixels.to(dtype)))
        grid = [side // self.stride for side in pixels.shape[-2:]]
        patch_tokens, cls_tokens = [], []
        for features, norm in zip(maps, self._norms, strict=True):
            patch_tokens.append(self._finished(_on_grid(features, grid).permute(0, 2, 3, 1), norm))
            cls_tokens.append(self._finished(features.mean(dim=(2, 3)), norm))
        return torch.stack(patch_tokens, dim=1), torch.stack(cls_tokens, dim=1)

    def compile(self, **options: Any) -> None:
        """See `TokenReader.compile`."""
        self._stages.compile(**options)

    def _finished(self, tokens: Tensor, norm: nn.Module | None) -> Tensor:
        """Tokens ``[..., channel]``, normalised and padded to the common width."""
        tokens = tokens if norm is None else norm(tokens)
        return torch.nn.functional.pad(tokens, (0, self.channels - tokens.shape[-1]))


def stage_stride(stage: int) -> int:
    """Pixels of the input per token of a stage, counted from 0."""
    return STEM_STRIDE << stage


def _on_grid(features: Tensor, grid: Sequence[int]) -> Tensor:
    """``[image, channel, row, column]``, on a grid of that many rows and columns."""
    if list(features.shape[-2:]) == list(grid):
        return features
    return torch.nn.functional.interpolate(features, size=grid, mode="bilinear", align_corners=False)
