"""The revision of each stage, raised by hand when an edit changes results that the code trace does not see.

`zsad.workflow.codetrace.EXEMPT` lists modules whose edits re-run nothing. If such an edit does change what a stage
writes, raise the number of that stage: its results, all later results, and its shared files, whose key includes the
code's hash, are made again.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

REVISIONS: Mapping[str, int] = MappingProxyType(  # by the name of the script
    {
        "download_dataset": 1,
        "make_demo": 1,
        "read_images": 1,
        "read_training": 1,
        "make_synthetic": 1,
        "build_manifest": 1,
        "check_images": 1,
        "check_unseen": 1,
        "extract_features": 2,
        "join_features": 1,
        "encode_texts": 1,
        "embed_images": 1,
        "segment_foreground": 1,
        "train_method": 1,
        "fit_method": 2,
        "score_images": 2,
        "fuse_scores": 1,
        "modulate_scores": 1,
        "decide_images": 1,
        "adopt_decisions": 1,
        "embed_crops": 1,
        "refine_masks": 1,
        "read_support": 1,
        "draw_support": 1,
        "outline_truth": 1,
        "classify_images": 1,
        "evaluate_classes": 1,
        "collect_classes": 1,
        "evaluate_scores": 1,
        "evaluate_masks": 1,
        "evaluate_oracle": 1,
        "collect_tables": 1,
        "collect_costs": 1,
        "draw_thumbnails": 1,
        "draw_gallery": 1,
        "draw_plots": 1,
        "draw_summary": 1,
        "draw_confusion": 1,
        "draw_shots": 1,
        "export_results": 1,
        "build_page": 1,
    }
)
