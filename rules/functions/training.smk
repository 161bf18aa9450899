# What the rules of training.smk read and depend on.
from zsad.scoring.registry import SCORERS


def training_files(wildcards):
    """The features of every category of the auxiliary data set that a method learns from, by role, and the manifests."""
    entry, data = settings.methods[wildcards.method], available(settings.auxiliary.name)
    features = {
        role: [
            FEATURES.format(dataset=data.name, category=category, backbone=entry.backbone, **wanted._asdict())
            for category in data.categories
        ]
        for role, wanted in entry.training_sets.items()
    }
    return features | {
        "manifests": [MANIFEST.format(dataset=data.name, category=category) for category in data.categories]
    }


def training_config(wildcards):
    """Everything that training depends on besides the auxiliary images, their features and ground truth."""
    categories = available(settings.auxiliary.name).categories
    return as_parameter({**settings.training_config(wildcards.method), "categories": categories})


def training_code(wildcards):
    """The code behind the training of one method."""
    return code("train_method.py", SCORERS.entry(settings.methods[wildcards.method].scorer))
