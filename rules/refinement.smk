# From anomaly maps to defect masks, once per method and refiner.


include: "functions/refinement.smk"


rule embed_crops:
    """Embeddings of windows around the small components of one method's maps, at full resolution."""
    input:
        image_list=IMAGE_LIST,
        scores=SCORES,
        decisions=DECISIONS,
        weights=refiner_weights,
    output:
        crops=CROPS,
    log:
        f"{LOGS}/embed_crops/{{category}}.{{method}}.{{refiner}}.log",
    benchmark:
        f"{BENCHMARKS}/embed_crops/{{category}}.{{method}}.{{refiner}}.tsv"
    group:
        submission("detect", "embed_crops")
    conda:
        environment()
    threads: cores("embed_crops")
    resources:
        **on_device(),
        mem_mb=memory("embed_crops"),
        runtime=duration("embed_crops"),
        gpu=network_gpus(),
    params:
        cfg=crop_config,
        stamp=refiner_stamp,
        code=crop_code,
    message:
        "Embedding crops of {wildcards.category}: {wildcards.method} for {wildcards.refiner}"
    script:
        "../workflow_scripts/embed_crops.py"


rule refine_masks:
    """Defect masks of one method, segmented by a refiner from map and photograph."""
    input:
        unpack(refinement_files),
        image_list=IMAGE_LIST,
        scores=SCORES,
        decisions=DECISIONS,
        weights=refiner_weights,
    output:
        masks=MASKS,
    log:
        f"{LOGS}/refine_masks/{{category}}.{{method}}.{{refiner}}.log",
    benchmark:
        f"{BENCHMARKS}/refine_masks/{{category}}.{{method}}.{{refiner}}.tsv"
    wildcard_constraints:
        refiner=one_of(name for name in settings.refiners if not prompts(name)),
    group:
        submission("measure", "refine_masks")
    conda:
        "../envs/zsad.yaml"
    threads: 1
    resources:
        mem_mb=memory("refine_masks"),
        runtime=duration("refine_masks"),
        gpu=0,
    params:
        cfg=refinement_config,
        stamp=refiner_stamp,
        code=refinement_code,
    message:
        "Segmenting defects in {wildcards.category}: {wildcards.method} by {wildcards.refiner}"
    script:
        "../workflow_scripts/refine_masks.py"


rule prompt_masks:
    """Defect masks by a refiner that prompts a segmentation model, which runs on the networks' device."""
    input:
        unpack(refinement_files),
        image_list=IMAGE_LIST,
        scores=SCORES,
        decisions=DECISIONS,
        weights=refiner_weights,
    output:
        masks=MASKS,
    log:
        f"{LOGS}/prompt_masks/{{category}}.{{method}}.{{refiner}}.log",
    benchmark:
        f"{BENCHMARKS}/prompt_masks/{{category}}.{{method}}.{{refiner}}.tsv"
    wildcard_constraints:
        refiner=one_of(name for name in settings.refiners if prompts(name)),
    group:
        submission("detect", "prompt_masks")
    conda:
        environment()
    threads: cores("prompt_masks")
    resources:
        **on_device(),
        mem_mb=memory("prompt_masks"),
        runtime=duration("prompt_masks"),
        gpu=network_gpus(),
    params:
        cfg=refinement_config,
        stamp=refiner_stamp,
        code=refinement_code,
    message:
        "Segmenting defects in {wildcards.category}: {wildcards.method} by {wildcards.refiner}, prompted"
    script:
        "../workflow_scripts/refine_masks.py"


rule modulate_scores:
    """Anomaly maps of one method, modulated by one refiner's masks."""
    input:
        scores=modulated_scores,
        decisions=member_decisions,
        masks=modulating_masks,
    output:
        scores=SCORES,
    log:
        f"{LOGS}/modulate_scores/{{category}}.{{method}}.log",
    benchmark:
        f"{BENCHMARKS}/modulate_scores/{{category}}.{{method}}.tsv"
    wildcard_constraints:
        method=one_of(name for name, entry in settings.methods.items() if entry.refiner),
    group:
        submission("detect", "modulate_scores")
    conda:
        "../envs/zsad.yaml"
    threads: 1
    resources:
        **on_device(wants_gpu=False),
        mem_mb=memory("modulate_scores"),
        runtime=duration("modulate_scores"),
        gpu=0,
    params:
        cfg=scoring_config,
        code=modulation_code,
    message:
        "Modulating scores of {wildcards.category}: {wildcards.method}"
    script:
        "../workflow_scripts/modulate_scores.py"


rule masks:
    """All defect masks."""
    input:
        checked_images,
        targets(MASKS),
    localrule: True
