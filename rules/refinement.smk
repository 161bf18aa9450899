# From anomaly maps to defect masks, once for each method and refiner.


rule embed_crops:
    """Embeddings of windows around the small components of one method's maps, at full resolution."""
    input:
        manifest=MANIFEST,
        scores=SCORES,
        weights=crop_weights,
    output:
        crops=CROPS,
    log:
        f"{LOGS}/embed_crops/{{category}}.{{method}}.{{refiner}}.log",
    benchmark:
        f"{BENCHMARKS}/embed_crops/{{category}}.{{method}}.{{refiner}}.tsv"
    conda:
        "../envs/zsad.yaml"
    threads: 8
    resources:
        mem_mb=crop_memory,
        runtime=240,
        gpu=device_gpus(),
        device=settings.config["device"],
        batch=settings.extraction.resource("batch"),
    params:
        cfg=crop_config,
        code=crop_code,
    message:
        "Embedding crops of {wildcards.category}: {wildcards.method} for {wildcards.refiner}"
    script:
        "../workflow_scripts/embed_crops.py"


rule refine_masks:
    """Defect masks of one method, outlined by one refiner."""
    input:
        unpack(refinement_files),
        manifest=MANIFEST,
        scores=SCORES,
    output:
        masks=MASKS,
    log:
        f"{LOGS}/refine_masks/{{category}}.{{method}}.{{refiner}}.log",
    benchmark:
        f"{BENCHMARKS}/refine_masks/{{category}}.{{method}}.{{refiner}}.tsv"
    conda:
        "../envs/zsad.yaml"
    threads: refinement_threads
    resources:
        mem_mb=refinement_memory,
        runtime=60,
        gpu=refinement_gpus,
        device=settings.config["device"],
    params:
        cfg=refinement_config,
        code=refinement_code,
    message:
        "Outlining defects in {wildcards.category}: {wildcards.method} by {wildcards.refiner}"
    script:
        "../workflow_scripts/refine_masks.py"


rule modulate_scores:
    """Anomaly maps of one method, drawn towards one refiner's masks."""
    input:
        scores=modulated_scores,
        masks=modulating_masks,
    output:
        scores=SCORES,
    log:
        f"{LOGS}/modulate_scores/{{category}}.{{method}}.log",
    benchmark:
        f"{BENCHMARKS}/modulate_scores/{{category}}.{{method}}.tsv"
    wildcard_constraints:
        method=named(name for name, entry in settings.methods.items() if entry.refiner),
    conda:
        "../envs/zsad.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
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
        targets(MASKS),
