# The steps behind each method's results, and their benchmark files.
from zsad.data.subsets import synthetic_named
from zsad.scoring.references import REFERENCES


def step(stage, dataset, **names):
    """A stage that a method needs, with the wildcards of its job; its paths keep the category as a wildcard."""
    made_by = getattr(rules, stage)
    place = {"dataset": dataset, "category": "{category}", **names}
    return {
        "stage": stage,
        "detail": list(names.values()),
        "subset": names.get("subset", "test"),
        "benchmark": made_by.benchmark.format(**place),
        "product": made_by.output[0].format(**place),
    }


def feature_steps(dataset, backbone, wanted):
    """The steps up to the features of a set of images; for a joint backbone first those of its members."""
    before = [needed for member in backbone.members for needed in feature_steps(dataset, member, wanted)]
    if synthetic_named(wanted.subset) and not backbone.members:
        before = [{**step("make_synthetic", dataset, subset=wanted.subset), "product": ""}]
    stage = "join_features" if backbone.members else "extract_features"
    return [*before, step(stage, dataset, backbone=backbone.name, **wanted._asdict())]


def scoring_steps(dataset, method):
    """The steps up to one method's scores; first those of the methods whose scores it reads."""
    entry = settings.methods[method]
    before = [needed for member in entry.members for needed in scoring_steps(dataset, member)]
    if entry.refiner:
        masks = refinement_steps(dataset, entry.members[0], entry.refiner)
        decided = deciding_step(dataset, entry.members[0])
        return [*before, decided, *masks, step("modulate_scores", dataset, method=method)]
    if entry.members:
        return [*before, step("fuse_scores", dataset, method=method)]
    features = [
        needed
        for wanted in entry.feature_sets.values()
        for needed in feature_steps(dataset, settings.backbones[entry.backbone], wanted)
    ]
    foregrounds = [
        step(stage, dataset, segmenter=entry.segmenter, subset=subset)
        for subset in entry.foregrounds.values()
        for stage in ("embed_images", "segment_foreground")
    ]
    return [
        *features,
        *foregrounds,
        *text_steps(dataset, method),
        *training_steps(dataset, method),
        *fit_steps(dataset, method),
        step("score_images", dataset, method=method),
    ]


def text_steps(dataset, method):
    """The step that encodes a method's text prompts, once for all images."""
    entry = settings.methods[method]
    if entry.texts is None:
        return []
    names = {"backbone": settings.text_backbone(method), "prompts": entry.texts.name}
    return [{**step("encode_texts", dataset, **names), "subset": ""}]


def fit_steps(dataset, method):
    """The step that fits a method to its references, which are its images; empty without references."""
    entry = settings.methods[method]
    fit = step("fit_method", dataset, method=method)
    return [{**fit, "subset": entry.feature_sets[REFERENCES].subset}] if entry.fitted_roles else []


def training_steps(dataset, method):
    """The step that trains a method on another data set, once for all categories; empty for most methods."""
    if not settings.methods[method].is_trained:
        return []
    return [{**step("train_method", dataset, method=method), "subset": "", "product": ""}]


def deciding_step(dataset, method):
    """The step from one method's scores to its decisions."""
    adopts = bool(settings.methods[method].refiner)
    return step("adopt_decisions" if adopts else "decide_images", dataset, method=method)


def refinement_steps(dataset, method, refiner):
    """The steps from one method's scores to one refiner's masks."""
    entry = settings.refiners[refiner]
    of_test = {"dataset": dataset, "segmenter": entry.segmenter, "subset": "test"}
    of_masks = {"dataset": dataset, "method": method, "refiner": refiner}
    return [
        *([step("embed_images", **of_test)] if entry.segmenter else []),
        *([step("segment_foreground", **of_test)] if entry.foreground else []),
        *([step("embed_crops", **of_masks)] if entry.crops is not None else []),
        step("prompt_masks" if entry.segmenter else "refine_masks", **of_masks),
    ]


def cost_plan(dataset, method):
    """A method with all steps behind its results."""
    entry = settings.methods[method]
    scores = scoring_steps(dataset, method)
    masks = [needed for refiner in settings.refiners for needed in refinement_steps(dataset, method, refiner)]
    evaluation = step("evaluate_scores", dataset, method=method)
    steps = [
        *({**needed, "for_scores": True} for needed in scores),
        *({**needed, "for_scores": False} for needed in (deciding_step(dataset, method), *masks, evaluation)),
    ]
    return {
        "method": method,
        "setting": entry.description["setting"],
        "backbone": entry.backbone,
        "group": entry.group,
        "steps": [
            {**needed, "detail": ".".join(name for name in needed["detail"] if name != method)}
            for needed in steps
        ],
    }


def cost_config(wildcards):
    """The benchmarks behind each method.

    They are not inputs: to replace a lost one, Snakemake would run its stage and all later ones again.
    The tables are made after all stages, and again whenever one of the stages is.
    """
    plans = [cost_plan(wildcards.dataset, method) for method in settings.methods]
    return as_parameter({"categories": available().categories, "methods": plans})
