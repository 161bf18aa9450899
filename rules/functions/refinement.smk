# What the rules of refinement.smk read and depend on.
from zsad.refinement.registry import MODULATIONS, REFINERS


def prompted_segmenter(wildcards):
    """The segmentation model that a refiner prompts; None without one."""
    return settings.segmenters.get(settings.refiners[wildcards.refiner].segmenter)


def refiner_files(wildcards):
    """The files of the segmentation model that a refiner prompts; empty without one, or for a published one."""
    segmenter = prompted_segmenter(wildcards)
    return [] if segmenter is None else segmenter.local_files()


refiner_weights, refiner_stamp = follow(refiner_files)


def crop_config(wildcards):
    """Everything that the embeddings of crops depend on besides the images and scores."""
    crops = settings.refiners[wildcards.refiner].crops
    return as_parameter({"crops": crops, "segmenter": prompted_segmenter(wildcards).stage_config()})


def crop_code(wildcards):
    """The code behind the embeddings of crops."""
    return segmenter_code("embed_crops.py", prompted_segmenter(wildcards).name)


def refinement_files(wildcards):
    """A refiner's inputs besides images, scores and the weights of its model: embeddings, foregrounds and crops."""
    segmenter = prompted_segmenter(wildcards)
    if segmenter is None:
        return {}
    refiner = settings.refiners[wildcards.refiner]
    place = {
        "dataset": wildcards.dataset,
        "category": wildcards.category,
        "segmenter": segmenter.name,
        "subset": "test",
    }
    files = {"embeddings": EMBEDDINGS.format(**place)}
    if refiner.foreground:
        files["foregrounds"] = FOREGROUNDS.format(**place)
    if refiner.crops is not None:
        files["crops"] = CROPS.format(method=wildcards.method, refiner=wildcards.refiner, **place)
    return files


def refinement_config(wildcards):
    """Everything that masks depend on besides the images and scores."""
    segmenter = prompted_segmenter(wildcards)
    model = {} if segmenter is None else {"segmenter": segmenter.stage_config()}
    return as_parameter(settings.refiners[wildcards.refiner].stage_config() | model)


def refinement_code(wildcards):
    """The code behind the masks of one refiner."""
    refiner = REFINERS.entry(settings.refiners[wildcards.refiner].refiner)
    segmenter = prompted_segmenter(wildcards)
    return code(
        "refine_masks.py",
        refiner,
        *([] if segmenter is None else [SEGMENTERS.entry(segmenter.family)]),
    )


def modulated_scores(wildcards):
    """The scores that a method modulates."""
    (scores,) = member_scores(wildcards)
    return scores


def modulating_masks(wildcards):
    """The masks that modulate a method's maps."""
    entry = settings.methods[wildcards.method]
    return MASKS.format(
        dataset=wildcards.dataset,
        category=wildcards.category,
        method=entry.members[0],
        refiner=entry.refiner,
    )


def modulation_code(wildcards):
    """The code behind a modulation."""
    return code("modulate_scores.py", MODULATIONS.entry(settings.methods[wildcards.method].scorer))
