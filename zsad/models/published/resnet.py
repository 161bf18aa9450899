"""ResNets and Wide ResNets by name: torchvision's weights of ImageNet, from timm on the hub.

They are torchvision's ``IMAGENET1K_V1``, which papers on the subject use: timm's ``resnet.py`` names torchvision's
files as the source of its ``tv_in1k``. torchvision has since saved some of them again, under the names below (timm's
pull request 2346).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from zsad.models.published.facts import BSD, ModelFacts

RESNET = "ResNet (He et al., CVPR 2016)"
WIDE_RESNET = "Wide ResNet (Zagoruyko and Komodakis, BMVC 2016)"
REFERENCES = {RESNET: "https://arxiv.org/abs/1512.03385", WIDE_RESNET: "https://arxiv.org/abs/1605.07146"}
STRIDE, SIDE = 8, 256  # pixels; of the grid, and the default of the family
STAGES = (2, 3)  # counted from 1
# By torchvision's names: parameters with the classifier, and the file of the same weights.
NETWORKS: Mapping[str, tuple[int, str]] = MappingProxyType(
    {
        "resnet18": (11_689_512, "resnet18-f37072fd.pth"),
        "resnet34": (21_797_672, "resnet34-b627a593.pth"),
        "resnet50": (25_557_032, "resnet50-0676ba61.pth"),
        "resnet101": (44_549_160, "resnet101-63fe2227.pth"),
        "resnet152": (60_192_808, "resnet152-394f9c45.pth"),
        "wide_resnet50_2": (68_883_240, "wide_resnet50_2-95faca4d.pth"),
        "wide_resnet101_2": (126_886_696, "wide_resnet101_2-32ee1156.pth"),
    }
)


def published() -> Iterator[ModelFacts]:
    """All of them, by size."""
    for network, (parameters, _) in NETWORKS.items():
        family = WIDE_RESNET if network.startswith("wide") else RESNET
        yield ModelFacts(
            name=network.replace("_", "-"),
            hub_id=f"timm/{network}.tv_in1k",
            family=family,
            licence=BSD,
            parameters=parameters,
            patch=STRIDE,
            prefix_tokens=0,
            layers=STAGES,
            resolution=SIDE,
            reference=REFERENCES[family],
        )


def network_of(facts: ModelFacts) -> str:
    """torchvision's name of a network."""
    return facts.name.replace("-", "_")


def file_of(facts: ModelFacts) -> str:
    """The address of torchvision's own file of the same weights."""
    return f"https://download.pytorch.org/models/{NETWORKS[network_of(facts)][1]}"
