# From images to embeddings of a promptable segmentation model, once per model and subset, and to foreground masks.


include: "functions/segmentation.smk"


rule embed_images:
    """Embeddings of a subset of a category's images; prompts are decoded from them later, many times."""
    input:
        image_list=list_of_subset,
        weights=segmenter_files,
    output:
        embeddings=EMBEDDINGS,
    log:
        f"{LOGS}/embed_images/{{category}}.{{segmenter}}.{{subset}}.log",
    benchmark:
        f"{BENCHMARKS}/embed_images/{{category}}.{{segmenter}}.{{subset}}.tsv"
    group:
        submission("detect", "embed_images")
    conda:
        environment()
    threads: cores("embed_images")
    resources:
        **on_device(),
        mem_mb=memory("embed_images"),
        runtime=duration("embed_images"),
        gpu=network_gpus(),
        shared=settings.sharing.resource("embeddings"),
    params:
        cfg=segmenter_config,
        stamp=segmenter_stamp,
        code=embedding_code,
    message:
        "Embedding {wildcards.category} by {wildcards.segmenter}: {wildcards.subset}"
    script:
        "../workflow_scripts/embed_images.py"


rule segment_foreground:
    """The foreground in each image of a subset: an object mask from prompts independent of the category."""
    input:
        image_list=list_of_subset,
        embeddings=EMBEDDINGS,
        weights=segmenter_files,
    output:
        masks=FOREGROUNDS,
    log:
        f"{LOGS}/segment_foreground/{{category}}.{{segmenter}}.{{subset}}.log",
    benchmark:
        f"{BENCHMARKS}/segment_foreground/{{category}}.{{segmenter}}.{{subset}}.tsv"
    group:
        submission("detect", "segment_foreground")
    conda:
        environment()
    threads: cores("segment_foreground")
    resources:
        **on_device(),
        mem_mb=memory("segment_foreground"),
        runtime=duration("segment_foreground"),
        gpu=network_gpus(),
    params:
        cfg=foreground_config,
        stamp=segmenter_stamp,
        code=foreground_code,
    message:
        "Segmenting the foreground in {wildcards.category} by {wildcards.segmenter}: {wildcards.subset}"
    script:
        "../workflow_scripts/segment_foreground.py"


rule embeddings:
    """All embeddings of whole images."""
    input:
        checked_images,
        targets(EMBEDDINGS, segmenter=settings.oracle_segmenters, subset="test"),
    localrule: True
