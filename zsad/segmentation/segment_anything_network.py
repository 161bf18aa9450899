"""The network of ``segment_anything``, of any size of a file of weights.

The package builds ViT-B, ViT-L and ViT-H by name. Here the sizes are read from the tensors themselves, so that file
names do not matter, and smaller networks of the same architecture load as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import count
from typing import Any, NamedTuple

import torch

from zsad.errors import ModelError
from zsad.models.pth import read_pth
from zsad.segmentation.attention import BlockedAttention
from zsad.segmentation.frames import PaddedFrame
from zsad.segmentation.network import PromptableNetwork, PromptBatch
from zsad.segmentation.torchvision_standin import segment_anything_modeling
from zsad.segmentation.weights import Weights

DECODER_HEADS = 8  # the only size that cannot be read from the weights

State = Mapping[str, torch.Tensor]


class SegmentAnythingNetwork(PromptableNetwork):
    """SAM; its embedding is one array ``[channel, row, column]``.

    Args:
        module: with ``image_encoder``, ``prompt_encoder`` and ``mask_decoder``.
    """

    def __init__(self, module: torch.nn.ModuleDict) -> None:
        self.module = module
        parts: dict[str, Any] = dict(module.items())  # from a package without types
        self.image_encoder = parts["image_encoder"]
        self._blocks, self._prompt_encoder = parts["image_encoder"].blocks, parts["prompt_encoder"]
        self._mask_decoder = parts["mask_decoder"]
        self.frame = PaddedFrame(parts["image_encoder"].img_size)
        self.mask_side = self._prompt_encoder.mask_input_size[0]
        self.shapes = [(self._prompt_encoder.embed_dim, *self._prompt_encoder.image_embedding_size)]

    def attend_in_blocks(self, dtype: torch.dtype) -> None:
        """Let the image encoder compute its attention in blocks."""
        for block in self._blocks:
            block.attn = BlockedAttention(block.attn, block.attn.num_heads)

    def embed(self, pixels: torch.Tensor) -> list[torch.Tensor]:
        """Normalised squares ``[image, 3, side, side]`` to the output of the image encoder."""
        return [self.image_encoder(pixels)]

    def decode(
        self, embedding: Sequence[torch.Tensor], prompts: PromptBatch, *, several: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits ``[prompt, candidate, row, column]`` of the square, and qualities ``[prompt, candidate]``."""
        points = None if prompts.points is None else (prompts.points, prompts.labels)
        sparse, dense = self._prompt_encoder(points=points, boxes=prompts.boxes, masks=prompts.masks)
        logits, quality = self._mask_decoder(
            image_embeddings=embedding[0],
            image_pe=self._prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=several,
        )
        return logits, quality


def build(name: str, weights: Weights) -> SegmentAnythingNetwork:
    """The network in float32 on the CPU.

    Args:
        name: of the model, for messages.

    Raises:
        ModelError: the file is damaged, holds more than tensors, or is not one of Segment Anything.
    """
    if weights.path.is_dir():
        raise ModelError(
            f"model '{name}' is a folder of transformers and not a .pth file; use the segmenter family 'transformers'"
        )
    state = {key: tensor.float() for key, tensor in read_pth(weights.path).items()}
    sizes = _Sizes.of(state, name)
    with torch.device("meta"):  # tensors are not allocated: those of the file replace them
        module = _module(sizes)
    if difference := _difference(state, module.state_dict()):
        raise _not_segment_anything(name, difference)
    module.load_state_dict(state, strict=True, assign=True)
    return SegmentAnythingNetwork(module)


class _Sizes(NamedTuple):
    side: int
    patch: int
    width: int
    depth: int
    mlp_width: int
    head_width: int
    window: int
    global_blocks: tuple[int, ...]
    prompt_width: int
    mask_channels: int
    decoder_depth: int
    decoder_mlp_width: int
    masks: int
    quality_depth: int
    quality_width: int

    @classmethod
    def of(cls, state: State, name: str) -> _Sizes:
        """Read the sizes from the shapes of the tensors.

        Raises:
            ModelError: one is missing, or they do not fit together.
        """
        shapes = _Shapes(state, name)
        encoder, decoder, prompt_encoder = "image_encoder", "mask_decoder", "prompt_encoder"
        width, _, patch, _ = shapes.of(f"{encoder}.patch_embed.proj.weight", 4)
        _, grid, _, _ = shapes.of(f"{encoder}.pos_embed", 4)
        depth = shapes.count(f"{encoder}.blocks.{{}}.norm1.weight")
        # Relative positions along an axis of n patches are 2 n - 1.
        spans = [(shapes.of(f"{encoder}.blocks.{block}.attn.rel_pos_h", 2)[0] + 1) // 2 for block in range(depth)]
        sizes = cls(
            side=grid * patch,
            patch=patch,
            width=width,
            depth=depth,
            mlp_width=shapes.of(f"{encoder}.blocks.0.mlp.lin1.weight", 2)[0],
            head_width=shapes.of(f"{encoder}.blocks.0.attn.rel_pos_w", 2)[1],
            window=next((span for span in spans if span != grid), 0),
            global_blocks=tuple(block for block, span in enumerate(spans) if span == grid),
            prompt_width=shapes.of(f"{encoder}.neck.0.weight", 4)[0],
            mask_channels=shapes.of(f"{prompt_encoder}.mask_downscaling.3.weight", 4)[0],
            decoder_depth=shapes.count(f"{decoder}.transformer.layers.{{}}.norm1.weight"),
            decoder_mlp_width=shapes.of(f"{decoder}.transformer.layers.0.mlp.lin1.weight", 2)[0],
            masks=shapes.of(f"{decoder}.mask_tokens.weight", 2)[0] - 1,
            quality_depth=shapes.count(f"{decoder}.iou_prediction_head.layers.{{}}.weight"),
            quality_width=shapes.of(f"{decoder}.iou_prediction_head.layers.0.weight", 2)[0],
        )
        if 0 in (sizes.width, sizes.head_width) or sizes.width % sizes.head_width:
            raise _not_segment_anything(name, "its attention heads do not share its width evenly")
        if sizes.prompt_width == 0 or sizes.prompt_width % (2 * DECODER_HEADS):
            raise _not_segment_anything(name, f"the width of its decoder is not a multiple of {2 * DECODER_HEADS}")
        return sizes


class _Shapes:
    def __init__(self, state: State, name: str) -> None:
        self._state, self._name = state, name

    def of(self, key: str, axes: int) -> tuple[int, ...]:
        if key not in self._state:
            raise _not_segment_anything(self._name, f"there is no {key}")
        shape = tuple(self._state[key].shape)
        if len(shape) != axes:
            raise _not_segment_anything(self._name, f"{key} has {len(shape)} axes in place of {axes}")
        return shape

    def count(self, pattern: str) -> int:
        """Number of tensors whose names match a pattern, numbered from 0."""
        return next(number for number in count() if pattern.format(number) not in self._state)


def _module(sizes: _Sizes) -> torch.nn.ModuleDict:
    modeling = segment_anything_modeling()
    grid = sizes.side // sizes.patch
    return torch.nn.ModuleDict(
        {
            "image_encoder": modeling.ImageEncoderViT(
                img_size=sizes.side,
                patch_size=sizes.patch,
                embed_dim=sizes.width,
                depth=sizes.depth,
                num_heads=sizes.width // sizes.head_width,
                mlp_ratio=sizes.mlp_width / sizes.width,
                out_chans=sizes.prompt_width,
                norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
                use_rel_pos=True,
                window_size=sizes.window,
                global_attn_indexes=sizes.global_blocks,
            ),
            "prompt_encoder": modeling.PromptEncoder(
                embed_dim=sizes.prompt_width,
                image_embedding_size=(grid, grid),
                input_image_size=(sizes.side, sizes.side),
                mask_in_chans=sizes.mask_channels,
            ),
            "mask_decoder": modeling.MaskDecoder(
                transformer_dim=sizes.prompt_width,
                transformer=modeling.TwoWayTransformer(
                    depth=sizes.decoder_depth,
                    embedding_dim=sizes.prompt_width,
                    num_heads=DECODER_HEADS,
                    mlp_dim=sizes.decoder_mlp_width,
                ),
                num_multimask_outputs=sizes.masks,
                iou_head_depth=sizes.quality_depth,
                iou_head_hidden_dim=sizes.quality_width,
            ),
        }
    )


def _difference(state: State, expected: State) -> str:
    """The first difference between a state dict and the expected one; empty if there is none."""
    for key, tensor in expected.items():
        if key not in state:
            return f"there is no {key}"
        if state[key].shape != tensor.shape:
            return f"{key} is {tuple(state[key].shape)} in place of {tuple(tensor.shape)}"
    return next((f"{key} is unexpected" for key in state if key not in expected), "")


def _not_segment_anything(name: str, reason: str) -> ModelError:
    return ModelError(
        f"the weights of model '{name}' are not those of a Segment Anything model ({reason}); give one of its authors' "
        ".pth files, or use the segmenter family 'transformers' for other models"
    )
