# From anomaly maps to defect masks, once for each method and refiner.


rule refine_masks:
    """Defect masks of one method, outlined by one refiner."""
    input:
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
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
        gpu=0,
    params:
        cfg=refinement_config,
        code=refinement_code,
    message:
        "Outlining defects in {wildcards.category}: {wildcards.method} by {wildcards.refiner}"
    script:
        "../workflow_scripts/refine_masks.py"


rule masks:
    """All defect masks."""
    input:
        targets(MASKS),
