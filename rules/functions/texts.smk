# What the rules of texts.smk read and depend on.
from zsad.features.registry import BACKBONES


def asked_texts(wildcards):
    """What a file of texts asks in words."""
    return settings.asked_texts[wildcards.backbone, wildcards.prompts]


def files_behind_texts(wildcards):
    """The file of prompts that somebody has written or trained, and those of a model and tokenizer in local folders."""
    return [*asked_texts(wildcards).local_files(), *settings.backbones[wildcards.backbone].text_files()]


text_files, text_stamp = follow(files_behind_texts)


def encoding_config(wildcards):
    """All that embeddings of sentences depend on besides the files of prompts and model: no image, nor how one is seen."""
    asked = asked_texts(wildcards)
    return as_parameter(
        {
            "backbone": settings.backbones[wildcards.backbone].text_config(),
            "part_name": settings.part_name(wildcards.category, asked),
            "prompts": asked.prompts,
            "trained_on": asked.trained_on,
        }
    )


def prompt_content(wildcards):
    """A parameter for the words of a set of this package, which are no input."""
    return as_parameter(asked_texts(wildcards).content())


def encoding_code(wildcards):
    """The code behind the embeddings of one text tower."""
    return code("encode_texts.py", BACKBONES.entry(settings.backbones[wildcards.backbone].family))


def all_text_files(wildcards):
    """The files of texts of all methods and categories, each once."""
    return [
        TEXTS.format(dataset=settings.dataset, category=category, backbone=backbone, prompts=prompts)
        for category in available().categories
        for backbone, prompts in settings.asked_texts
    ]
