"""The published promptable segmentation models by name: their addresses, sizes and licences.

This module holds only facts, so that the names can be listed without a framework or a network. Parameters are counted
from the architecture, and agree with the known sizes of the published files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

APACHE, SAM_LICENCE = "Apache-2.0", "SAM License"
SAM, SAM_HQ = "https://arxiv.org/abs/2304.02643", "https://arxiv.org/abs/2306.01567"
SAM_2, SAM_3 = "https://arxiv.org/abs/2408.00714", "https://arxiv.org/abs/2511.16719"
SAM_FILES = "https://dl.fbaipublicfiles.com/segment_anything"
SIDE, SIDE_OF_SAM_3 = 1024, 1008  # pixels
FLOAT32_BYTES = 4


class SegmenterFacts(NamedTuple):
    """Facts about a published promptable segmentation model.

    Attributes:
        name: name in the configuration.
        family: family that loads it, a name of `SEGMENTERS`.
        hub_id: id on the Hugging Face hub; None if it is not there.
        url: the file of weights that its authors publish; None for a model of the hub.
        sha256: of that file; None for a model of the hub, which publishes the hashes of its files.
        size: of that file, bytes; None likewise.
        licence: of the weights.
        gated: whether the hub requires an account that has accepted the licence.
        parameters: number in the whole checkpoint, including those that only videos need.
        side: of the square that an image is resized to, pixels.
        reference: address of the paper.
    """

    name: str
    family: str
    hub_id: str | None
    url: str | None
    sha256: str | None
    size: int | None
    licence: str
    gated: bool
    parameters: int
    side: int
    reference: str

    @property
    def gigabytes(self) -> float:
        """Size of the weights in float32, 10^9 bytes."""
        return self.parameters * FLOAT32_BYTES / 1e9

    @property
    def place(self) -> str:
        """Its hub id, or the name of its file."""
        return self.hub_id or (self.url or "").rsplit("/", 1)[-1]


def facts_of(name: str) -> SegmenterFacts | None:
    """The facts of a model by its name here or its hub id; None for any other."""
    return MODELS.get(name) or BY_HUB_ID.get(name)


def _files_of_authors() -> Iterator[SegmenterFacts]:
    # Sizes and hashes as recorded by several independent projects.
    for size, file, sha256, byte_count, parameters in (
        (
            "b",
            "sam_vit_b_01ec64.pth",
            "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
            375_042_383,
            93_735_728,
        ),
        (
            "l",
            "sam_vit_l_0b3195.pth",
            "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
            1_249_524_607,
            312_343_088,
        ),
        (
            "h",
            "sam_vit_h_4b8939.pth",
            "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
            2_564_550_879,
            641_090_864,
        ),
    ):
        yield SegmenterFacts(
            name=f"sam-vit-{size}",
            family="segment_anything",
            hub_id=None,
            url=f"{SAM_FILES}/{file}",
            sha256=sha256,
            size=byte_count,
            licence=APACHE,
            gated=False,
            parameters=parameters,
            side=SIDE,
            reference=SAM,
        )


def _on_hub(name: str, owner: str, parameters: int, reference: str) -> SegmenterFacts:
    return SegmenterFacts(
        name=name,
        family="transformers",
        hub_id=f"{owner}/{name}",
        url=None,
        sha256=None,
        size=None,
        licence=APACHE,
        gated=False,
        parameters=parameters,
        side=SIDE,
        reference=reference,
    )


def _models_of_hub() -> Iterator[SegmenterFacts]:
    for size, parameters in (("base", 93_735_728), ("large", 312_343_088), ("huge", 641_090_864)):
        yield _on_hub(f"sam-vit-{size}", "facebook", parameters, SAM)
    # The licence is that of the authors' repository and files; the cards of these conversions may name none.
    for size, parameters in (("base", 94_806_832), ("large", 313_676_336), ("huge", 642_686_256)):
        yield _on_hub(f"sam-hq-vit-{size}", "syscv-community", parameters, SAM_HQ)
    for version, of_video in (("2.1", 16_512), ("2", 0)):  # 2.1 embeds occlusion and the age of object pointers
        for size, parameters in (
            ("tiny", 38_946_498),
            ("small", 46_044_354),
            ("base-plus", 80_834_178),
            ("large", 224_430_642),
        ):
            yield _on_hub(f"sam{version}-hiera-{size}", "facebook", parameters + of_video, SAM_2)
    yield _on_hub("sam3", "facebook", 859_922_360, SAM_3)._replace(licence=SAM_LICENCE, gated=True, side=SIDE_OF_SAM_3)


MODELS: Mapping[str, SegmenterFacts] = MappingProxyType(
    {facts.name: facts for entries in (_files_of_authors(), _models_of_hub()) for facts in entries}
)
BY_HUB_ID: Mapping[str, SegmenterFacts] = MappingProxyType(
    {facts.hub_id: facts for facts in MODELS.values() if facts.hub_id is not None}
)
