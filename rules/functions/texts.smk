# What the rules of texts.smk read and depend on.
from zsad.features.registry import BACKBONES


def asked_texts(wildcards):
    """The text prompts of a file of texts."""
    return settings.asked_texts[wildcards.backbone, wildcards.prompts]


def files_behind_texts(wildcards):
    """The user's file of prompts, and the files of a local model and tokenizer."""
    return [*asked_texts(wildcards).local_files(), *settings.backbones[wildcards.backbone].text_files()]


text_files, text_stamp = follow(files_behind_texts)


def encoding_config(wildcards):
    """Everything that text embeddings depend on besides the files of prompts and model; images do not matter."""
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
    """A parameter for the words of a prompt set of this package, which is not an input."""
    return as_parameter(asked_texts(wildcards).content())


def encoding_code(wildcards):
    """The code behind the embeddings of one text tower."""
    return code("encode_texts.py", BACKBONES.entry(settings.backbones[wildcards.backbone].family))


def all_text_files(wildcards):
    """The files of texts of all methods and categories, without repetitions."""
    return [
        TEXTS.format(dataset=settings.dataset, category=category, backbone=backbone, prompts=prompts)
        for category in available().categories
        for backbone, prompts in settings.asked_texts
    ]
