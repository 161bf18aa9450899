# What the rules of segmentation.smk read and depend on.


def segmenter_config(wildcards):
    """Everything that embeddings depend on besides the images."""
    return as_parameter(settings.segmenters[wildcards.segmenter].stage_config())


def embedding_code(wildcards):
    """The code behind embeddings."""
    return segmenter_code("embed_images.py", wildcards.segmenter)


def foreground_config(wildcards):
    """Everything that foreground masks depend on besides the embeddings."""
    segmenter = settings.segmenters[wildcards.segmenter].stage_config()
    return as_parameter({"segmenter": segmenter, "options": settings.foreground.parameters()})


def foreground_code(wildcards):
    """The code behind foreground masks."""
    return segmenter_code("segment_foreground.py", wildcards.segmenter)
