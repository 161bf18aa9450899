# From text prompts to vectors in the space of a model's images: once per category, prompt set and model.


include: "functions/texts.smk"


rule encode_texts:
    """Embeddings of the sentences about normal and anomalous states of a category's object."""
    input:
        files=text_files,
    output:
        texts=TEXTS,
    log:
        f"{LOGS}/encode_texts/{{category}}.{{backbone}}.{{prompts}}.log",
    benchmark:
        f"{BENCHMARKS}/encode_texts/{{category}}.{{backbone}}.{{prompts}}.tsv"
    wildcard_constraints:
        backbone=one_of(dict.fromkeys(backbone for backbone, _ in settings.asked_texts)),
    priority: FIRST  # texts that cannot be encoded stop a run before anything is computed
    group:
        submission("detect", "encode_texts")
    conda:
        environment()
    threads: cores("encode_texts")
    resources:
        **on_device(),
        mem_mb=memory("encode_texts"),
        runtime=duration("encode_texts"),
        gpu=network_gpus(),
    params:
        cfg=encoding_config,
        content=prompt_content,
        stamp=text_stamp,
        code=encoding_code,
    message:
        "Encoding {wildcards.prompts} for {wildcards.category} by {wildcards.backbone}"
    script:
        "../workflow_scripts/encode_texts.py"


rule texts:
    """All embeddings of sentences."""
    input:
        checked_images,
        all_text_files,
    localrule: True
