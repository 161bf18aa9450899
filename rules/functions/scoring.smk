# What the rules of scoring.smk read and depend on.
from zsad.scoring.registry import FUSIONS, SCORERS
from zsad.scoring.thresholds.registry import THRESHOLDS


def scoring_files(wildcards):
    """What a method scores in one category: its feature files by role, and the outlines of the parts if it asks."""
    entry = settings.methods[wildcards.method]
    place = {"dataset": wildcards.dataset, "category": wildcards.category}
    features = {
        role: FEATURES.format(backbone=entry.backbone, **wanted._asdict(), **place)
        for role, wanted in entry.feature_sets.items()
    }
    foregrounds = {
        f"foreground_{role}": FOREGROUNDS.format(segmenter=entry.segmenter, subset=subset, **place)
        for role, subset in entry.foregrounds.items()
    }
    return features | foregrounds


def scoring_code(wildcards):
    """The code behind the scores of one method."""
    entry = settings.methods[wildcards.method]
    threshold = THRESHOLDS.entry(entry.scoring["threshold"]["rule"])
    return code("score_images.py", SCORERS.entry(entry.scorer), threshold)


def fusion_code(wildcards):
    """The code behind a fusion."""
    return code("fuse_scores.py", FUSIONS.entry(settings.methods[wildcards.method].scorer))
