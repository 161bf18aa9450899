# What the rules of classification.smk read and depend on.
from zsad.classification.registry import CLASSIFIERS
from zsad.data.subsets import support_subset
from zsad.workflow.classifiers import scored_features
from zsad.workflow.measurable import CLASS_TABLES


def example_files(wildcards):
    """The images of a support's examples for a category, and the table of their kinds."""
    available()
    return settings.supports[wildcards.support].files(wildcards.category)


def example_listing(wildcards):
    """A parameter for a support's examples for a category: a digest of folders and table."""
    return settings.supports[wildcards.support].digest(wildcards.category)


support_files, support_stamp = follow(example_files)


def support_config(wildcards):
    """Everything that the list of a support's examples depends on besides their files."""
    return as_parameter(
        {
            "source": settings.supports[wildcards.support].stage_config(),
            "bounds": settings.image_bounds().stage_config(),
            "white": settings.data.layout.white,
        }
    )


def in_category(wildcards, **names):
    """The names in the path of a result of the same category."""
    return {"dataset": wildcards.dataset, "category": wildcards.category, **names}


def support_scoring_files(wildcards):
    """The inputs for scoring a support's examples, with the method's model if it has one."""
    entry, subset = settings.methods[wildcards.method], support_subset(wildcards.support)
    place = in_category(wildcards)
    features = {
        role: FEATURES.format(backbone=entry.backbone, **wanted._asdict(), **place)
        for role, wanted in scored_features(entry, subset).items()
    }
    foregrounds = {
        f"foreground_{role}": FOREGROUNDS.format(segmenter=entry.segmenter, subset=subset, **place)
        for role in entry.foregrounds
        if role not in entry.fitted_roles
    }
    model = {"model": MODELS.format(method=wildcards.method, **place)} if entry.fitted_roles else {}
    return (
        features
        | foregrounds
        | model
        | texts_of(wildcards, of_fit=False)
        | learned_of(wildcards, of_fit=False)
    )


def drawn_files(wildcards):
    """The source of a classifier's examples: the labels of the test images, or a support's list of kinds."""
    entry, place = settings.classifiers[wildcards.classifier], in_category(wildcards)
    if entry.is_drawn_from_tests:
        return {"manifest": MANIFEST.format(**place)}
    return {
        "labelled": SUPPORT_LIST.format(support=entry.support, **place),
        "kinds": SUPPORT_KINDS.format(support=entry.support, **place),
    }


def drawing_config(wildcards):
    """Everything that the samples of a classifier's examples depend on besides their source."""
    entry = settings.classifiers[wildcards.classifier]
    return as_parameter({"source": entry.support, "options": entry.drawing})


def classified_files(wildcards):
    """A classifier's inputs besides the samples: features, and for regions maps and masks, also of examples."""
    entry, place = settings.classifiers[wildcards.classifier], in_category(wildcards)
    backbone = settings.backbones[entry.backbone].name
    files = {"features": FEATURES.format(backbone=backbone, subset="test", view="original", **place)}
    if entry.method:
        files["scores"] = SCORES.format(method=entry.method, **place)
    if entry.refiner:
        files["masks"] = MASKS.format(method=entry.method, refiner=entry.refiner, **place)
    if entry.regions == "ground truth":
        files["masks"] = TRUE_MASKS.format(**place)
    if not entry.is_drawn_from_tests:
        files["support_features"] = FEATURES.format(
            backbone=backbone, subset=support_subset(entry.support), view="original", **place
        )
    if entry.scores_support:
        files["support_scores"] = SUPPORT_SCORES.format(support=entry.support, method=entry.method, **place)
    return files


def classification_config(wildcards):
    """Everything that a classifier's predictions depend on besides its inputs."""
    return as_parameter(settings.classifiers[wildcards.classifier].stage_config())


def classification_code(wildcards):
    """The code behind the predictions of one classifier."""
    return code(
        "classify_images.py", CLASSIFIERS.entry(settings.classifiers[wildcards.classifier].classifier)
    )


def class_evaluation_config(wildcards):
    """Everything that metrics of classifiers depend on besides the predictions, and the names in the tables."""
    entry = settings.classifiers[wildcards.classifier]
    return as_parameter({"backbone": entry.backbone, "options": settings.evaluation.parameters()})


SHOWN_CLASS_TABLES = {
    "classification_csv": "defect types",
    "metrics_csv": "metrics of classifiers",
    "confusion_csv": "confusion matrices",
}


def class_tables():
    """The tables of classifiers with contents; those in CSV also for Snakemake's report."""
    made = {
        name: f"{TABLES}/{file}" for name, file in (settings.measurable.class_tables or CLASS_TABLES).items()
    }
    shown = {
        name: report(
            made[name],
            caption=f"report/class_{name.removesuffix('_csv')}.rst",
            category="Tables",
            labels={"table": title},
        )
        for name, title in SHOWN_CLASS_TABLES.items()
        if name in made
    }
    return made | shown


def class_targets(pattern, **names):
    """An input function: all files of a pattern; empty if no classifier is configured."""
    return targets(pattern, **names) if settings.classifiers else []
