# What the rules of features.smk read and depend on.
from zsad.features.registry import BACKBONES


def backbone_files(wildcards):
    """The files of a model in a local folder; none for a hub id or a backbone without weights."""
    return settings.backbones[wildcards.backbone].local_files()


weight_files, weight_stamp = follow(backbone_files)


def extraction_config(wildcards):
    """Everything that features depend on besides the images, or the features that they are joined from."""
    return as_parameter(settings.backbones[wildcards.backbone].stage_config())


def extraction_code(wildcards):
    """The code behind the features of one backbone."""
    return code("extract_features.py", BACKBONES.entry(settings.backbones[wildcards.backbone].family))


def joined_files(wildcards):
    """The features of the members of a joint backbone for the same images, in its order."""
    members = settings.backbones[wildcards.backbone].members
    return [FEATURES.format(**{**wildcards, "backbone": member.name}) for member in members]


def joining_code(wildcards):
    """The code behind the features of a joint backbone."""
    return code("join_features.py", BACKBONES.entry(settings.backbones[wildcards.backbone].family))


def allowed_patches(wildcards):
    """The most patches that a backbone may compute for an image of a data set."""
    return settings.data_of(wildcards.dataset).bounds.max_patches


def all_feature_files(wildcards):
    """The feature files of all methods and categories without repetitions, including those for training."""
    return [
        FEATURES.format(dataset=data.name, category=category, backbone=backbone, **wanted._asdict())
        for data, features in settings.read_features
        for category in available(data.name).categories
        for backbone, wanted in features
    ]
