"""The backbones by name: one line each."""

from zsad.features.base import Backbone
from zsad.registry import Registry

BACKBONES: Registry[Backbone] = Registry(
    "backbone family",
    {
        "embedded": "zsad.features.embedded:Embedded",
        "efficientnet_lite": "zsad.features.efficientnet_lite:EfficientNetLite",
        "resnet": "zsad.features.resnet:ResNet",
        "transformers": "zsad.features.huggingface:HuggingFace",
    },
)
