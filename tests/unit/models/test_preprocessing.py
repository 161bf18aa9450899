"""How pixels are normalised by what the files beside a checkpoint's weights say."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import DINOv3ViTConfig, DINOv3ViTModel, ViTConfig, ViTModel

from closeness import assert_close
from zsad.errors import ModelError
from zsad.features.execution import Execution
from zsad.features.huggingface import HuggingFace
from zsad.models import checkpoint
from zsad.models.checkpoint import find_checkpoint
from zsad.models.colours import SATELLITE
from zsad.models.hub import Located
from zsad.models.imagenet import IMAGENET_MEAN, IMAGENET_STD
from zsad.models.preprocessing import stated_normalisation

IMAGENET = (IMAGENET_MEAN, IMAGENET_STD)
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
OWN = {"image_mean": list(SATELLITE.mean), "image_std": list(SATELLITE.std)}
SIZES: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "patch_size": 4,
    "image_size": 16,
    "intermediate_size": 16,
}
PREPROCESSOR = "preprocessor_config.json"


@pytest.fixture
def dinov3(tmp_path: Path) -> Path:
    folder = tmp_path / "dinov3"
    DINOv3ViTModel(DINOv3ViTConfig(**SIZES)).save_pretrained(folder)
    return folder


def write(folder: Path, content: Any, name: str = PREPROCESSOR) -> None:
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))


def test_a_checkpoint_of_any_family_is_normalised_as_its_file_says(dinov3: Path, tmp_path: Path) -> None:
    assert find_checkpoint(str(dinov3), None).normalisation == IMAGENET
    write(dinov3, OWN)
    assert find_checkpoint(str(dinov3), None).pixels == (SATELLITE, PREPROCESSOR)
    ViTModel(ViTConfig(**SIZES), add_pooling_layer=False).save_pretrained(tmp_path)
    write(tmp_path, {"image_mean": 0.5, "image_std": 0.5})  # a number for all three
    assert find_checkpoint(str(tmp_path), None).normalisation == HALF


def test_tokens_are_computed_with_it_and_the_result_says_so(dinov3: Path) -> None:
    backbone = HuggingFace(model=str(dinov3), resolution=16, dtype="float32")
    pixels = torch.randint(0, 256, (1, 3, 16, 16), dtype=torch.uint8)
    usual = backbone.load(Execution(device="cpu"))
    assert usual.model["pixels"] == {
        "mean": list(IMAGENET_MEAN),
        "std": list(IMAGENET_STD),
        "source": "usual of its family",
    }
    write(dinov3, OWN | {"rescale_factor": 1 / 255, "do_rescale": True, "do_normalize": True})
    own = backbone.load(Execution(device="cpu"))
    assert own.model["pixels"] == {"mean": OWN["image_mean"], "std": OWN["image_std"], "source": PREPROCESSOR}
    mean, std = (torch.tensor(values)[:, None, None] for values in SATELLITE)
    with torch.inference_mode():
        assert_close(own.tokens_of_images(pixels)[0], own.tokens_of((pixels / 255 - mean) / std)[0])


def test_where_no_file_says_it_the_log_does(dinov3: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="zsad"):
        find_checkpoint(str(dinov3), None)
    (line,) = caplog.messages
    assert line == (
        f"model '{dinov3}' does not state the normalisation of its pixels (no {PREPROCESSOR} in "
        f"{dinov3}): the usual values of its family are used, mean 0.485, 0.456, 0.406 and standard deviation 0.229, "
        "0.224, 0.225"
    )
    caplog.clear()
    write(dinov3, OWN)
    with caplog.at_level(logging.INFO, logger="zsad"):
        find_checkpoint(str(dinov3), None)
    assert not caplog.messages


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({}, None),
        ({"image_mean": None, "image_std": None, "do_normalize": None}, None),
        (OWN | {"rescale_factor": 0.00392156862745098}, SATELLITE),
        (OWN | {"do_normalize": False}, ((0.0,) * 3, (1.0,) * 3)),  # pixels in [0, 1]
        ({"do_normalize": False}, ((0.0,) * 3, (1.0,) * 3)),
        # Pixels of 0 to 255, less 128 and by 64: (p - 128) / 64.
        ({"do_rescale": False, "image_mean": [128] * 3, "image_std": [64] * 3}, ((128 / 255,) * 3, (64 / 255,) * 3)),
        # In [0, 2], as of factor 1 / 127.5.
        ({"rescale_factor": 1 / 127.5, "image_mean": [1.0] * 3, "image_std": [1.0] * 3}, HALF),
        ({"rescale_factor": 1 / 127.5, "do_normalize": False}, ((0.0,) * 3, (0.5,) * 3)),
        ({"do_rescale": False, "rescale_factor": 7.0, "do_normalize": False}, ((0.0,) * 3, (1 / 255,) * 3)),
    ],
)
def test_what_a_processor_does_to_pixels_is_taken_into_mean_and_deviation(
    tmp_path: Path, content: dict[str, Any], expected: Any
) -> None:
    write(tmp_path, content)
    stated = stated_normalisation("tiny", tmp_path)
    if expected is None:
        assert stated is None
        return
    assert stated is not None
    assert_close(torch.tensor(stated.normalisation), torch.tensor(expected))
    if expected is SATELLITE:
        assert stated.normalisation == SATELLITE  # to the last digit


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "is not valid JSON"),
        ("[]", "it is not an object"),
        ({"image_mean": [0.5, 0.5], "image_std": [0.5] * 3}, "are not three numbers each, or a deviation is 0"),
        ({"image_mean": [0.5] * 4, "image_std": [0.5] * 4}, "are not three numbers each"),
        ({"image_mean": [0.5] * 3}, "image_std None are not three numbers each"),
        ({"image_mean": [0.5] * 3, "image_std": [0.5, 0, 0.5]}, "or a deviation is 0"),
        ({"image_mean": ["a"] * 3, "image_std": [0.5] * 3}, "are not three numbers each"),
        ({"image_mean": [float("nan")] * 3, "image_std": [0.5] * 3}, "are not three numbers each"),
        (OWN | {"do_normalize": "yes"}, "do_normalize is 'yes', neither true nor false"),
        (OWN | {"do_rescale": 1}, "do_rescale is 1, neither true nor false"),
        (OWN | {"rescale_factor": 0}, "rescale_factor is 0, not a number above 0"),
        (OWN | {"rescale_factor": 10**400}, "not a number above 0"),
        (OWN | {"rescale_factor": 1e-320}, "makes them"),
        (OWN | {"image_std": [1, 1, 10**400]}, "are not three numbers each"),
        (OWN | {"rescale_factor": "1/255"}, "rescale_factor is '1/255', not a number above 0"),
        ({"rescale_factor": 1.0}, "it has a factor of pixels but no image_mean and image_std"),
    ],
)
def test_an_odd_file_is_one_sentence(dinov3: Path, content: Any, reason: str) -> None:
    write(dinov3, content)
    with pytest.raises(ModelError) as caught:
        find_checkpoint(str(dinov3), None)
    message = str(caught.value)
    assert reason in message
    assert f"model '{dinov3}'" in message
    assert "\n" not in message


def test_a_processor_may_hold_the_settings_too(dinov3: Path) -> None:
    write(dinov3, {"image_processor": OWN, "processor_class": "X"}, "processor_config.json")
    assert find_checkpoint(str(dinov3), None).pixels == (SATELLITE, "processor_config.json")
    write(dinov3, {"image_mean": HALF[0], "image_std": HALF[1]})
    assert find_checkpoint(str(dinov3), None).pixels == (HALF, PREPROCESSOR)  # goes first


def test_a_folder_of_timm_says_it_in_its_configuration(tmp_path: Path) -> None:
    cfg = {"mean": OWN["image_mean"], "std": OWN["image_std"]}
    write(tmp_path, {"architecture": "vit_large_patch16_dinov3", "pretrained_cfg": cfg}, "config.json")
    assert stated_normalisation("tiny", tmp_path) == (SATELLITE, "config.json")
    write(tmp_path, {"architecture": "vit_large_patch16_dinov3", "pretrained_cfg": {}}, "config.json")
    assert stated_normalisation("tiny", tmp_path) is None


def test_of_a_single_file_what_lies_beside_it_or_the_name_of_its_release_says_it(tmp_path: Path) -> None:
    file = tmp_path / "dinov3_vitl16_pretrain_lvd1689m-8aa4cbdd.pth"
    file.touch()
    assert stated_normalisation(str(file), file) is None
    satellite = tmp_path / "dinov3_vitl16_pretrain_sat493m-eadcf0ff.pth"
    satellite.touch()
    assert stated_normalisation(str(satellite), satellite) == (SATELLITE, "its release")
    write(tmp_path, {"image_mean": HALF[0], "image_std": HALF[1]})
    assert stated_normalisation(str(file), file) == (HALF, PREPROCESSOR)
    assert (tmp_path / PREPROCESSOR).as_posix() in HuggingFace(model=str(file)).local_files()


def test_a_model_in_the_cache_of_the_hub_is_read_alike(dinov3: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "locate", lambda *_: Located(dinov3, "0" * 40))
    name = "facebook/dinov3-vitl16-pretrain-sat493m"
    assert find_checkpoint(name, None).pixels == (SATELLITE, "its release")  # whether or not the file was downloaded
    assert find_checkpoint("somebody/dinov3", None).normalisation == IMAGENET
    write(dinov3, OWN)
    assert find_checkpoint("somebody/dinov3", None).normalisation == SATELLITE
