# What the rules of scoring.smk read and depend on.
from zsad.scoring.registry import FUSIONS, SCORERS


def files_by_role(wildcards, *, of_fit):
    """The feature files of a method in one category by role, and the foreground masks if it needs them.

    Args:
        of_fit: True for the features that it is fitted to, False for those that it scores.
    """
    entry = settings.methods[wildcards.method]
    place = {"dataset": wildcards.dataset, "category": wildcards.category}
    features = {
        role: FEATURES.format(backbone=entry.backbone, **wanted._asdict(), **place)
        for role, wanted in entry.feature_sets.items()
        if (role in entry.fitted_roles) == of_fit
    }
    foregrounds = {
        f"foreground_{role}": FOREGROUNDS.format(segmenter=entry.segmenter, subset=subset, **place)
        for role, subset in entry.foregrounds.items()
        if (role in entry.fitted_roles) == of_fit
    }
    return features | foregrounds


def fit_files(wildcards):
    """The inputs for fitting a method in one category."""
    files = files_by_role(wildcards, of_fit=True) | texts_of(wildcards, of_fit=True)
    return files | synthetic_of(wildcards) | learned_of(wildcards, of_fit=True)


def synthetic_of(wildcards):
    """The files about the synthetic images for training; empty for most methods."""
    made = settings.methods[wildcards.method].feature_sets.get("synthetic")
    if made is None:
        return {}
    place = {"dataset": wildcards.dataset, "category": wildcards.category, "subset": made.subset}
    patterns = {"synthetic_manifest": SYNTHETIC_MANIFEST, "synthetic_origins": SYNTHETIC_ORIGINS}
    return {name: pattern.format(**place) for name, pattern in patterns.items()}


def fit_config(wildcards):
    """Everything that a model depends on besides the features of the references, and the facts for loading it."""
    return as_parameter(settings.fit_config(wildcards.method))


def fit_code(wildcards):
    """The code behind the model of one method."""
    return code("fit_method.py", SCORERS.entry(settings.methods[wildcards.method].scorer))


def scoring_files(wildcards):
    """The inputs for scoring one category, with the method's model if it has one."""
    files = files_by_role(wildcards, of_fit=False)
    model = {"model": MODELS.format(**wildcards)} if settings.methods[wildcards.method].fitted_roles else {}
    return files | model | texts_of(wildcards, of_fit=False) | learned_of(wildcards, of_fit=False)


def scoring_code(wildcards):
    """The code behind the scores of one method."""
    return code("score_images.py", SCORERS.entry(settings.methods[wildcards.method].scorer))


def fusion_code(wildcards):
    """The code behind a fusion."""
    return code("fuse_scores.py", FUSIONS.entry(settings.methods[wildcards.method].scorer))
