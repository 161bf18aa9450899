"""The families of promptable networks of ``transformers``, by the ``model_type`` of their ``config.json``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
import transformers

from zsad.errors import ModelError
from zsad.models.attention import BLOCKED
from zsad.models.config_files import config_content, parsed_config
from zsad.models.config_sense import built_within, sense_of_config, sense_of_weights, whole_number
from zsad.segmentation.attention import BlockedSamAttention
from zsad.segmentation.frames import Frame, PaddedFrame, StretchedFrame
from zsad.segmentation.network import PromptableNetwork, PromptBatch
from zsad.segmentation.weights import Weights

SIDE = "prompt_encoder_config.image_size"
LARGEST_SIDE = 4096  # px; published models have 1024
HALF = (0.5, 0.5, 0.5)


class TransformersNetwork(PromptableNetwork):
    """A model of ``transformers``.

    Prompts are its batch axis, with one point batch each, because a mask prompt belongs to an entry of the batch.
    """

    def __init__(
        self,
        module: transformers.SamModel
        | transformers.SamHQModel
        | transformers.Sam2Model
        | transformers.Sam3TrackerModel,
        frame: Frame,
    ) -> None:
        self.module = module
        self.image_encoder = module.vision_encoder
        self.frame = frame
        self.mask_side = 4 * module.prompt_encoder.image_embedding_size[0]

    def _predicted(
        self, prompts: PromptBatch, several: bool, **embedding: Sequence[torch.Tensor] | torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        output = self.module(
            **embedding,
            input_points=None if prompts.points is None else prompts.points[:, None],
            input_labels=None if prompts.labels is None else prompts.labels[:, None],
            input_boxes=None if prompts.boxes is None else prompts.boxes[:, None],
            input_masks=prompts.masks,
            multimask_output=several,
        )
        return output.pred_masks[:, 0], output.iou_scores[:, 0]


class Sam(TransformersNetwork):
    """SAM; its embedding is one array ``[channel, row, column]``."""

    def __init__(self, module: transformers.SamModel | transformers.SamHQModel, frame: Frame) -> None:
        super().__init__(module, frame)
        self._layers: Sequence[Any] = list(module.vision_encoder.layers)  # checked by their attributes
        self.shapes = [(module.prompt_encoder.hidden_size, *module.prompt_encoder.image_embedding_size)]

    def attend_in_blocks(self, dtype: torch.dtype) -> None:
        """Let the image encoder compute its attention in blocks, except without relative positions."""
        for layer in self._layers:
            if layer.attn.use_rel_pos:
                layer.attn = BlockedSamAttention(layer.attn, layer.attn.num_attention_heads)

    def embed(self, pixels: torch.Tensor) -> list[torch.Tensor]:
        """Normalised squares ``[image, 3, side, side]`` to the output of the image encoder."""
        return [self.image_encoder(pixels).last_hidden_state]

    def decode(
        self, embedding: Sequence[torch.Tensor], prompts: PromptBatch, *, several: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits ``[prompt, candidate, row, column]`` of the square, and qualities ``[prompt, candidate]``."""
        return self._predicted(prompts, several, image_embeddings=_repeated(embedding[0], prompts))


class SamHQ(Sam):
    """SAM-HQ; its embedding is that of SAM, and the output ``[row, column, channel]`` of its first global block.

    The image encoder returns that of every global block, but the decoder uses only the first.
    """

    def __init__(self, module: transformers.SamHQModel, frame: Frame) -> None:
        super().__init__(module, frame)
        width = module.vision_encoder.config.hidden_size
        self.shapes.append((*module.prompt_encoder.image_embedding_size, width))

    def embed(self, pixels: torch.Tensor) -> list[torch.Tensor]:
        """Normalised squares ``[image, 3, side, side]`` to both outputs of the image encoder."""
        output = self.image_encoder(pixels)
        return [output.last_hidden_state, output.intermediate_embeddings[0]]

    def decode(
        self, embedding: Sequence[torch.Tensor], prompts: PromptBatch, *, several: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits ``[prompt, candidate, row, column]`` of the square, and qualities ``[prompt, candidate]``."""
        features, early = embedding
        # The decoder's result from the early features is the same for all prompts: they are not repeated.
        return self._predicted(
            prompts, several, image_embeddings=_repeated(features, prompts), intermediate_embeddings=[early]
        )


class Sam2(TransformersNetwork):
    """SAM 2, SAM 2.1 and the tracker of SAM 3; embeddings are three arrays ``[channel, row, column]``, finest first."""

    module: transformers.Sam2Model | transformers.Sam3TrackerModel
    image_encoder: transformers.PreTrainedModel

    def __init__(self, module: transformers.Sam2Model | transformers.Sam3TrackerModel, frame: Frame) -> None:
        super().__init__(module, frame)
        width = module.hidden_dim
        channels = (width // 8, width // 4, width)  # the decoder's projections of the finer levels, and the coarsest
        self.shapes = [(count, *size) for count, size in zip(channels, module.backbone_feature_sizes, strict=True)]

    def attend_in_blocks(self, dtype: torch.dtype) -> None:
        """Let the image encoder compute its attention in blocks, except in float32, where fused attention is fast."""
        if dtype != torch.float32:
            self.image_encoder.set_attn_implementation(BLOCKED)

    def embed(self, pixels: torch.Tensor) -> list[torch.Tensor]:
        """Normalised squares ``[image, 3, side, side]`` to the levels that the decoder needs.

        Like ``get_image_embeddings`` of the model, but "no memory" is always added to the coarsest level in use, as in
        the authors' code. The library adds it to the last level there is, and SAM 3 has a fourth that is not used.
        """
        levels = self.module.get_image_features(pixels, return_dict=True).fpn_hidden_states[: len(self.shapes)]
        levels[-1] = levels[-1] + self.module.no_memory_embedding
        return [
            level.permute(1, 2, 0).unflatten(2, shape[1:]) for level, shape in zip(levels, self.shapes, strict=True)
        ]

    def decode(
        self, embedding: Sequence[torch.Tensor], prompts: PromptBatch, *, several: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits ``[prompt, candidate, row, column]`` of the square, and qualities ``[prompt, candidate]``."""
        return self._predicted(prompts, several, image_embeddings=[_repeated(level, prompts) for level in embedding])


class Family(NamedTuple):
    """Class and frame of the checkpoints of one ``model_type``.

    Attributes:
        model_class: of ``transformers``.
        network: network class that wraps it.
        frame: frame of the input, except its side.
    """

    model_class: str
    network: type[TransformersNetwork]
    frame: Callable[[int], Frame]


_stretched_by_halves = partial(StretchedFrame, mean=HALF, std=HALF)

FAMILIES = {  # a checkpoint for videos holds the model for images, too
    "sam": Family("SamModel", Sam, PaddedFrame),
    "sam_hq": Family("SamHQModel", SamHQ, PaddedFrame),
    "sam2": Family("Sam2Model", Sam2, StretchedFrame),
    "sam2_video": Family("Sam2Model", Sam2, StretchedFrame),
    "sam3_tracker": Family("Sam3TrackerModel", Sam2, _stretched_by_halves),
    "sam3_tracker_video": Family("Sam3TrackerModel", Sam2, _stretched_by_halves),
    "sam3_video": Family("Sam3TrackerModel", Sam2, _stretched_by_halves),
}


def build(name: str, weights: Weights) -> TransformersNetwork:
    """The network in float32 on the CPU.

    Args:
        name: of the model, for messages.

    Raises:
        ModelError: the folder is damaged, incomplete, or of an unknown family.
    """
    if not weights.path.is_dir():
        raise ModelError(
            f"model '{name}' is a file of weights and not a folder of transformers; use the segmenter family "
            "'segment_anything'"
        )
    _silence_library()
    family = _family_of(config_content(name, weights.path).get("model_type"), name)
    model_class = getattr(transformers, family.model_class)
    parsed_config(name, weights.path)
    with sense_of_weights(name, weights.path), built_within(weights.files, name):
        module, info = model_class.from_pretrained(
            weights.path,
            local_files_only=True,
            trust_remote_code=False,
            weights_only=True,
            use_safetensors=weights.files[0].suffix == ".safetensors",
            dtype=torch.float32,
            attn_implementation="sdpa",
            output_loading_info=True,
        )
    if missing := sorted(info["missing_keys"]):
        raise ModelError(
            f"the weights of model '{name}' lack {len(missing)} of its tensors ({missing[0]}, ...); download it again, "
            "or correct its config.json"
        )
    with sense_of_config(name, weights.path):
        side = whole_number(module.prompt_encoder.input_image_size, SIDE, name)
        if side > LARGEST_SIDE:
            raise ModelError(
                f"the config.json of model '{name}' is not usable ({SIDE} is {side}, more than {LARGEST_SIDE} px); "
                "fix it, or download the model again"
            )
        return family.network(module, family.frame(side))


def _family_of(model_type: object, name: str) -> Family:
    if isinstance(model_type, str) and model_type in FAMILIES:
        return FAMILIES[model_type]
    given = f"of the type '{model_type!s:.60}'" if model_type else "of no known type"
    raise ModelError(
        f"model '{name}' is {given}, which is not supported; choose one of these types: {', '.join(FAMILIES)}"
    )


def _silence_library() -> None:
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()


def _repeated(tensor: torch.Tensor, prompts: PromptBatch) -> torch.Tensor:
    """A tensor of one image for every prompt, without a copy."""
    given = next(part for part in prompts if part is not None)
    return tensor.expand(len(given), *tensor.shape[1:])
