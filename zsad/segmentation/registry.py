"""The promptable segmentation models by name: one line each."""

from zsad.registry import Registry
from zsad.segmentation.base import SegmenterConfig

SEGMENTERS: Registry[SegmenterConfig] = Registry(
    "segmenter",
    {
        "segment_anything": "zsad.segmentation.segment_anything:SegmentAnything",
        "transformers": "zsad.segmentation.transformers_sam:TransformersSam",
    },
)
