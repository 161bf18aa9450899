"""The estimate of every job, by its rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from zsad.resources import (
    classification,
    data,
    deciding,
    evaluation,
    exporting,
    features,
    joining,
    refinement,
    reporting,
    scoring,
    segmentation,
    texts,
)
from zsad.resources.estimate import Estimate
from zsad.resources.run import Run

ESTIMATES: Mapping[str, Callable[[Run, Mapping[str, str]], Estimate]] = MappingProxyType(
    {
        "download_dataset": data.download_dataset,
        "make_demo": data.make_demo,
        "read_images": data.read_images,
        "read_training": data.read_training,
        "make_synthetic": data.make_synthetic,
        "build_manifest": data.build_manifest,
        "check_images": data.check_images,
        "check_unseen": data.check_unseen,
        "extract_features": features.extract_features,
        "join_features": joining.join_features,
        "encode_texts": texts.encode_texts,
        "embed_images": segmentation.embed_images,
        "segment_foreground": segmentation.segment_foreground,
        "train_method": scoring.train_method,
        "fit_method": scoring.fit_method,
        "score_images": scoring.score_images,
        "fuse_scores": scoring.fuse_scores,
        "decide_images": deciding.decide_images,
        "adopt_decisions": deciding.adopt_decisions,
        "embed_crops": segmentation.embed_crops,
        "refine_masks": refinement.refine_masks,
        "prompt_masks": segmentation.prompt_masks,
        "modulate_scores": refinement.modulate_scores,
        "read_support": data.read_support,
        "score_support": scoring.score_images,
        "draw_support": classification.draw_support,
        "outline_truth": classification.outline_truth,
        "classify_images": classification.classify_images,
        "evaluate_classes": classification.evaluate_classes,
        "collect_classes": classification.collect_classes,
        "evaluate_scores": evaluation.evaluate_scores,
        "evaluate_masks": evaluation.evaluate_masks,
        "evaluate_oracle": segmentation.evaluate_oracle,
        "collect_tables": evaluation.collect_tables,
        "collect_costs": evaluation.collect_costs,
        "draw_thumbnails": reporting.draw_thumbnails,
        "draw_gallery": reporting.draw_gallery,
        "draw_plots": reporting.draw_plots,
        "draw_confusion": classification.draw_confusion,
        "draw_shots": classification.draw_shots,
        "draw_support_thumbnails": reporting.draw_support_thumbnails,
        "draw_summary": reporting.draw_summary,
        "build_page": reporting.build_page,
        "export_results": exporting.export_results,
    }
)
# Rules that profit from several threads; all others use one.
THREADS: Mapping[str, Callable[[Run, Mapping[str, str]], int]] = MappingProxyType(
    {
        "read_images": data.reading_threads,
        "read_training": data.training_threads,
        "make_synthetic": data.synthetic_threads,
        "extract_features": features.extraction_threads,
        "read_support": data.support_threads,
        "score_support": scoring.scoring_threads,
        "train_method": scoring.scoring_threads,
        "fit_method": scoring.scoring_threads,
        "score_images": scoring.scoring_threads,
        "encode_texts": texts.text_threads,
        "embed_images": segmentation.encoder_threads,
        "embed_crops": segmentation.encoder_threads,
        "segment_foreground": segmentation.decoder_threads,
        "prompt_masks": segmentation.decoder_threads,
        "evaluate_oracle": segmentation.decoder_threads,
    }
)


def estimated(run: Run, rule: str, names: Mapping[str, str]) -> Estimate:
    """The expected resources of a job.

    Args:
        names: the job's wildcards.
    """
    return ESTIMATES[rule](run, names)


def threads_of(run: Run, rule: str, names: Mapping[str, str]) -> int:
    """Threads that a job requests."""
    return THREADS[rule](run, names) if rule in THREADS else 1
