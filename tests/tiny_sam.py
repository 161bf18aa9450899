"""Tiny promptable segmentation models of random weights, in the formats in which the real ones are published."""

from __future__ import annotations

from pathlib import Path

import torch
import transformers

from zsad.segmentation.torchvision_standin import segment_anything_modeling

PATCH = 8  # of SAM and SAM-HQ here; 16 in the published ones
WIDTH, HEADS, BLOCKS = 16, 2, 3
WINDOW, GLOBAL_BLOCKS = 3, (1,)  # windows do not divide the grid, as in the published ones
PROMPT_WIDTH, MLP_WIDTH = 32, 48
DECODER = {"hidden_size": PROMPT_WIDTH, "mlp_dim": MLP_WIDTH, "iou_head_hidden_dim": 24}
# As published, for a norm over 4 channels. Over 2 their variance comes next to 0, which magnifies rounding 500 times.
PROMPTS = {"hidden_size": PROMPT_WIDTH, "mask_input_channels": 16}


def write_segment_anything(path: Path, seed: int = 0, side: int = 64) -> Path:
    """Write a state dict of ``segment_anything`` whose image encoder takes a square of ``side`` pixels."""
    torch.save(segment_anything_network(seed, side).state_dict(), path)
    return path


def write_transformers(folder: Path, family: str = "sam", seed: int = 0) -> Path:
    """Write a folder of ``transformers``; ``family`` is its model_type: sam, sam_hq, sam2 or sam3_tracker."""
    transformers.utils.logging.disable_progress_bar()
    transformers_network(family, seed).save_pretrained(folder)
    return folder


def segment_anything_network(seed: int = 0, side: int = 64) -> torch.nn.Module:
    """The ``Sam`` of ``segment_anything``."""
    modeling = segment_anything_modeling()
    grid = side // PATCH
    network = modeling.Sam(
        image_encoder=modeling.ImageEncoderViT(
            depth=BLOCKS,
            embed_dim=WIDTH,
            img_size=side,
            mlp_ratio=2,
            norm_layer=lambda width: torch.nn.LayerNorm(width, eps=1e-6),
            num_heads=HEADS,
            patch_size=PATCH,
            qkv_bias=True,
            use_rel_pos=True,
            global_attn_indexes=GLOBAL_BLOCKS,
            window_size=WINDOW,
            out_chans=PROMPT_WIDTH,
        ),
        prompt_encoder=modeling.PromptEncoder(
            embed_dim=PROMPT_WIDTH,
            image_embedding_size=(grid, grid),
            input_image_size=(side, side),
            mask_in_chans=PROMPTS["mask_input_channels"],
        ),
        mask_decoder=modeling.MaskDecoder(
            num_multimask_outputs=3,
            transformer=modeling.TwoWayTransformer(depth=2, embedding_dim=PROMPT_WIDTH, mlp_dim=MLP_WIDTH, num_heads=8),
            transformer_dim=PROMPT_WIDTH,
            iou_head_depth=3,
            iou_head_hidden_dim=DECODER["iou_head_hidden_dim"],
        ),
        pixel_mean=[123.675, 116.28, 103.53],
        pixel_std=[58.395, 57.12, 57.375],
    )
    return _drawn(network, seed).eval()


def transformers_network(family: str = "sam", seed: int = 0) -> transformers.PreTrainedModel:
    """A model of ``transformers``, by its model_type."""
    return _drawn(MAKERS[family](), seed).eval()


def _sam() -> transformers.PreTrainedModel:
    return transformers.SamModel(
        transformers.SamConfig(
            vision_config=_vision(), prompt_encoder_config=_prompts(64, PATCH), mask_decoder_config=DECODER
        )
    )


def _sam_hq() -> transformers.PreTrainedModel:
    return transformers.SamHQModel(
        transformers.SamHQConfig(
            vision_config=_vision(),
            prompt_encoder_config=_prompts(64, PATCH),
            mask_decoder_config={**DECODER, "vit_dim": WIDTH},
        )
    )


def _sam2() -> transformers.PreTrainedModel:
    side = 128
    hiera = {
        "image_size": [side, side],
        "hidden_size": 8,
        "blocks_per_stage": [1, 1, 2, 1],
        "embed_dim_per_stage": [8, 16, 32, 64],
        "num_attention_heads_per_stage": [1, 2, 4, 8],
        "window_size_per_stage": [8, 4, 6, 3],
        "global_attention_blocks": [3],
        "mlp_ratio": 2.0,
    }
    vision = {
        "backbone_config": {"model_type": "sam2_hiera_det_model", **hiera},
        "backbone_channel_list": [64, 32, 16, 8],
        "backbone_feature_sizes": [[side // stride, side // stride] for stride in (4, 8, 16)],
        "fpn_hidden_size": PROMPT_WIDTH,
    }
    return transformers.Sam2Model(
        transformers.Sam2Config(
            vision_config=vision, prompt_encoder_config=_prompts(side, 16), mask_decoder_config=DECODER
        )
    )


def _sam3_tracker() -> transformers.PreTrainedModel:
    side, patch = 112, 14
    vit = {
        "image_size": side,
        "patch_size": patch,
        "pretrain_image_size": side // 2,
        "hidden_size": WIDTH,
        "intermediate_size": 2 * WIDTH,
        "num_hidden_layers": 2,
        "num_attention_heads": HEADS,
        "window_size": 4,
        "global_attn_indexes": [1],
    }
    grid = side // patch
    vision = {
        "backbone_config": {"model_type": "sam3_vit_model", **vit},
        "backbone_feature_sizes": [[scale * grid, scale * grid] for scale in (4, 2, 1)],
        "scale_factors": [4.0, 2.0, 1.0],
        "fpn_hidden_size": PROMPT_WIDTH,
    }
    return transformers.Sam3TrackerModel(
        transformers.Sam3TrackerConfig(
            vision_config=vision, prompt_encoder_config=_prompts(side, patch), mask_decoder_config=DECODER
        )
    )


MAKERS = {"sam": _sam, "sam_hq": _sam_hq, "sam2": _sam2, "sam3_tracker": _sam3_tracker}


def _vision() -> dict[str, object]:
    return {
        "hidden_size": WIDTH,
        "output_channels": PROMPT_WIDTH,
        "num_hidden_layers": BLOCKS,
        "num_attention_heads": HEADS,
        "image_size": 64,
        "patch_size": PATCH,
        "mlp_ratio": 2.0,
        "window_size": WINDOW,
        "global_attn_indexes": list(GLOBAL_BLOCKS),
        "num_pos_feats": PROMPT_WIDTH // 2,
    }


def _prompts(side: int, patch: int) -> dict[str, object]:
    return {**PROMPTS, "image_size": side, "patch_size": patch}


def _drawn(network: torch.nn.Module, seed: int) -> torch.nn.Module:
    """Draw all weights anew: the libraries' own random ones are so small that all masks would be alike."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for _, module in sorted(network.named_modules()):
            for name, tensor in _tensors(module):
                mean, spread = _statistics(module, name, tensor)
                tensor.copy_(mean + spread * torch.randn(tensor.shape, generator=draw))
        _calibrate(network)
    return network


def _tensors(module: torch.nn.Module) -> list[tuple[str, torch.Tensor]]:
    """The tensors of a module itself that its state dict holds; others are constants."""
    return sorted(
        (name, tensor)
        for name, tensor in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
        if name not in module._non_persistent_buffers_set
    )


def _statistics(module: torch.nn.Module, name: str, tensor: torch.Tensor) -> tuple[float, float]:
    """Mean and standard deviation that keep what passes through a layer near 1."""
    if "LayerNorm" in type(module).__name__:
        return float(name == "weight"), 0.1
    if name == "bias":
        return 0.0, 0.1
    if isinstance(module, torch.nn.ConvTranspose2d):
        return 0.0, (2 / tensor.shape[0]) ** 0.5
    if isinstance(module, (torch.nn.Linear, torch.nn.Conv2d)):
        return 0.0, (2 / tensor[0].numel()) ** 0.5
    return 0.0, 0.3 if name.startswith(("rel_pos", "pos_embed", "no_memory")) else 1.0


def _calibrate(network: torch.nn.Module) -> None:
    """Give logits a usual range, and qualities one within 0 and 1; one encoding of positions serves both its places."""
    decoder = network.mask_decoder
    for head in decoder.output_hypernetworks_mlps:
        _last_layer(head).weight *= 0.5 if hasattr(decoder, "conv_s0") else 4  # features of several levels add up
    quality = _last_layer(decoder.iou_prediction_head)
    quality.weight *= 0.05
    quality.bias += 0.7
    if hasattr(network, "shared_image_embedding"):
        shared = network.prompt_encoder.shared_embedding.positional_embedding
        network.shared_image_embedding.positional_embedding.copy_(shared)


def _last_layer(head: torch.nn.Module) -> torch.nn.Linear:
    """The last linear layer of a perceptron, as either library has it."""
    return head.proj_out if hasattr(head, "proj_out") else head.layers[-1]
