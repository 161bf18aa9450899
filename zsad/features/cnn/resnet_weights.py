"""Read the weights of a ResNet on this machine, from the three forms in which they are published.

torchvision's ``.pth`` files, folders of ``transformers`` (``config.json`` with the type ``resnet``), and folders of
timm, whose tensors have torchvision's names. The network is recognised by the shapes of the tensors. All errors have
one clear message.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import safe_open
from safetensors.torch import load_file

from zsad.errors import ModelError
from zsad.features.cnn.residual import MODEL_TYPE, PUBLISHED, STEM_KERNEL, ResNetShape, Stage, timm_network
from zsad.features.cnn.resnet import ResNet
from zsad.models.config_files import config_content
from zsad.models.config_sense import sense_of_config, sense_of_weights
from zsad.models.conversion.weights import OriginalWeights
from zsad.models.imagenet import IMAGENET_MEAN, IMAGENET_STD
from zsad.models.preprocessing import stated_normalisation
from zsad.models.pth import read_pth
from zsad.models.weight_files import required_weights

MARKS = ("conv1.weight", "bn1.weight", "layer1.0.conv1.weight")
DROPPED = (r"fc\..*", r".*\.num_batches_tracked")  # the classifier, and counters that only training uses
REMEMBERED = 16
# From the names of transformers to those of torchvision; numbers are one larger there, except the block number.
RENAMED: tuple[tuple[str, Callable[[re.Match[str]], str]], ...] = (
    (r"embedder\.embedder\.convolution\.", lambda found: "conv1."),
    (r"embedder\.embedder\.normalization\.", lambda found: "bn1."),
    (
        r"encoder\.stages\.(\d+)\.layers\.(\d+)\.shortcut\.convolution\.",
        lambda found: f"layer{int(found[1]) + 1}.{found[2]}.downsample.0.",
    ),
    (
        r"encoder\.stages\.(\d+)\.layers\.(\d+)\.shortcut\.normalization\.",
        lambda found: f"layer{int(found[1]) + 1}.{found[2]}.downsample.1.",
    ),
    (
        r"encoder\.stages\.(\d+)\.layers\.(\d+)\.layer\.(\d+)\.convolution\.",
        lambda found: f"layer{int(found[1]) + 1}.{found[2]}.conv{int(found[3]) + 1}.",
    ),
    (
        r"encoder\.stages\.(\d+)\.layers\.(\d+)\.layer\.(\d+)\.normalization\.",
        lambda found: f"layer{int(found[1]) + 1}.{found[2]}.bn{int(found[3]) + 1}.",
    ),
    (r"classifier\.", lambda found: "fc."),
)


class Variant(NamedTuple):
    """Facts about a network that only the ``config.json`` of a folder gives.

    Attributes:
        strided_first: see `ResNetShape`.
        first_stride: of the first stage.
    """

    strided_first: bool = False
    first_stride: int = 1


class ResNetWeights(NamedTuple):
    """A network.

    Attributes:
        shape: its stages.
        state: its tensors by their names in `ResNet`, without the classifier.
        files: the files that were read.
    """

    shape: ResNetShape
    state: dict[str, torch.Tensor]
    files: list[Path]


def read_weights(name: str, path: Path) -> ResNetWeights:
    """All weights, in float32.

    Args:
        name: of the model, for messages.
        path: a ``.pth`` file or a folder.

    Raises:
        ModelError: it is missing, damaged, not a ResNet, or with tensors that are missing, left over or of another
            shape.
    """
    variant, files = _variant_and_files(name, path)
    with sense_of_weights(name, path):
        state = {key: tensor for file in files for key, tensor in _read(file).items()}
        shape, own = _fitting(state, variant, name)
        _check_config(shape, name, path)
        return ResNetWeights(shape, {key: _usable(key, tensor, name) for key, tensor in own.items()}, files)


def shape_of_model(name: str, path: Path) -> ResNetShape:
    """Its stages by the shapes of its tensors, whose values are not read if the format allows it.

    Args:
        name, path: see `read_weights`.

    Raises:
        ModelError: see `read_weights`; the values of tensors are not checked.
    """
    _, files = _variant_and_files(name, path)
    with sense_of_weights(name, path):
        states = [(str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in (*files, *_configs(path))]
    return _remembered_shape(name, path, tuple(states))


@lru_cache(REMEMBERED)
def _remembered_shape(name: str, path: Path, states: tuple[tuple[str, int, int], ...]) -> ResNetShape:
    """``states`` of the files are only the key of the cache: a changed file is read again."""
    variant, files = _variant_and_files(name, path)
    with sense_of_weights(name, path):
        state = {key: tensor for file in files for key, tensor in _outlined(file).items()}
        shape, _ = _fitting(state, variant, name)
        _check_config(shape, name, path)
        return shape


def weights_files(name: str, path: Path) -> list[Path]:
    """The weights files; none is read.

    Args:
        name, path: see `read_weights`.

    Raises:
        ModelError: there are none.
    """
    return _variant_and_files(name, path)[1]


def _variant_and_files(name: str, path: Path) -> tuple[Variant, list[Path]]:
    if path.is_dir():
        content = config_content(name, path)
        return _variant(content, name), required_weights(name, path)
    return Variant(), [path]


def _configs(path: Path) -> list[Path]:
    return [path / "config.json"] if path.is_dir() else []


def _variant(content: Mapping[str, Any], name: str) -> Variant:
    if "architecture" in content and "model_type" not in content:
        if timm_network(content) is None:
            raise ModelError(
                f"model '{name}' has timm's architecture '{content['architecture']!s:.60}', which is not supported; "
                f"use one of {', '.join(PUBLISHED)}"
            )
        return Variant()
    model_type = content.get("model_type")
    if model_type != MODEL_TYPE:
        raise ModelError(
            f"model '{name}' has type '{model_type!s:.60}', not '{MODEL_TYPE}'; choose another model, or another family"
        )
    if content.get("hidden_act", "relu") != "relu":
        raise ModelError(
            f"model '{name}' has the activation '{content['hidden_act']!s:.40}', which is not supported; use a ResNet "
            "with relu"
        )
    flags = [content.get(key, False) for key in ("downsample_in_bottleneck", "downsample_in_first_stage")]
    if not all(isinstance(flag, bool) for flag in flags):
        raise ModelError(
            f"the config.json of model '{name}' is not usable (downsample_in_bottleneck or downsample_in_first_stage "
            "is neither true nor false); fix it, or download the model again"
        )
    return Variant(strided_first=flags[0], first_stride=2 if flags[1] else 1)


def _check_config(shape: ResNetShape, name: str, path: Path) -> None:
    """Compare a folder's description with its weights, which define the network."""
    if not path.is_dir():
        return
    content = config_content(name, path)
    if (network := timm_network(content)) is not None:
        _check_timm(network, shape, name, path)
        return
    with sense_of_config(name, path):
        told = {
            "depths": [stage.depth for stage in shape.stages],
            "hidden_sizes": [stage.width for stage in shape.stages],
            "embedding_size": shape.stem,
            "layer_type": "bottleneck" if shape.bottleneck else "basic",
        }
        for key, found in told.items():
            if key in content and content[key] != found:
                raise ModelError(
                    f"the config.json of model '{name}' states {key} {content[key]!s:.60}, but its weights have "
                    f"{found}; correct it, or download the model again"
                )


def _check_timm(network: str, shape: ResNetShape, name: str, path: Path) -> None:
    """Reject weights of another architecture than the named one, and other normalisations of pixels."""
    if shape != PUBLISHED[network]:
        raise ModelError(
            f"the config.json of model '{name}' states architecture {network}, which does not match its weights; "
            "correct it, or download the model again"
        )
    stated = stated_normalisation(name, path)
    if stated is not None and stated.normalisation != (IMAGENET_MEAN, IMAGENET_STD):
        raise ModelError(
            f"the {stated.source} of model '{name}' states another normalisation of pixels than that of ImageNet, "
            "which is not supported for ResNets; choose another model"
        )


def _read(file: Path) -> dict[str, torch.Tensor]:
    return load_file(file) if file.suffix == ".safetensors" else read_pth(file)


def _outlined(file: Path) -> dict[str, torch.Tensor]:
    """Read tensors without values."""
    if file.suffix != ".safetensors":
        return read_pth(file)  # memory-mapped if it has the current format
    with safe_open(file, "pt") as weights:
        return {
            key: torch.empty(weights.get_slice(key).get_shape(), device="meta")
            for key in weights.keys()  # noqa: SIM118
        }


def _fitting(
    state: Mapping[str, torch.Tensor], variant: Variant, name: str
) -> tuple[ResNetShape, dict[str, torch.Tensor]]:
    """The network that the tensors belong to, and its tensors."""
    weights = OriginalWeights({_torchvision_name(key): tensor for key, tensor in state.items()}, name)
    if not all(mark in weights for mark in MARKS):
        raise ModelError(
            f"the weights of model '{name}' are not of a ResNet (their first tensor is '{next(iter(state), '')}')"
            "; use a .pth file of torchvision's, a transformers folder, or another family"
        )
    shape = _shape(weights, variant)
    with torch.device("meta"):
        expected = ResNet(shape).state_dict()
    weights.drop(DROPPED)
    own = {
        # Old files have no counters; a network requires them, but inference does not use them.
        key: torch.zeros(()) if key.endswith("num_batches_tracked") else weights.take(key, *tensor.shape)
        for key, tensor in expected.items()
    }
    weights.check_all_used()
    return shape, own


def _shape(weights: OriginalWeights, variant: Variant) -> ResNetShape:
    stem, colours, *kernel = weights.shape("conv1.weight", 4)
    if (colours, *kernel) != (3, STEM_KERNEL, STEM_KERNEL):
        raise weights.wrong_shape("conv1.weight", f"{stem} x 3 x {STEM_KERNEL} x {STEM_KERNEL}")
    bottleneck = "layer1.0.conv3.weight" in weights
    stages: list[Stage] = []
    while f"layer{len(stages) + 1}.0.conv1.weight" in weights:
        prefix = f"layer{len(stages) + 1}"
        depth = 1
        while f"{prefix}.{depth}.conv1.weight" in weights:
            depth += 1
        inner, grouped = weights.shape(f"{prefix}.0.conv2.weight", 4)[:2]
        width = weights.shape(f"{prefix}.0.conv3.weight", 4)[0] if bottleneck else inner
        if min(inner, grouped, width) < 1 or inner % grouped:
            raise weights.wrong_shape(f"{prefix}.0.conv2.weight", "a kernel for groups of its inputs")
        stride = 2 if stages else variant.first_stride
        stages.append(Stage(depth, inner, width, stride, inner // grouped if bottleneck else 1))
    return ResNetShape(stem, bottleneck, tuple(stages), variant.strided_first)


def _torchvision_name(key: str) -> str:
    bare = key.removeprefix("resnet.")
    for pattern, name in RENAMED:
        if found := re.match(pattern, bare):
            return name(found) + bare[found.end() :]
    return key


def _usable(key: str, tensor: torch.Tensor, name: str) -> torch.Tensor:
    if tensor.is_quantized or not tensor.is_floating_point():
        raise ModelError(
            f"the weights of model '{name}' are quantised ('{key}' is {str(tensor.dtype).removeprefix('torch.')}), "
            "which is not supported; use the original weights"
        )
    tensor = tensor.float()
    if not tensor.isfinite().all() or (key.endswith("running_var") and tensor.min() < 0):
        raise ModelError(
            f"the weights of model '{name}' are damaged ('{key}' has impossible values); download them again"
        )
    return tensor
