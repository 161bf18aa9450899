# From features to anomaly maps and image scores, once for each method.


rule score_images:
    """Anomaly maps, image scores and a label-free threshold of one method."""
    input:
        unpack(feature_files),
    output:
        scores=SCORES,
    log:
        f"{LOGS}/score_images/{{category}}.{{method}}.log",
    benchmark:
        f"{BENCHMARKS}/score_images/{{category}}.{{method}}.tsv"
    conda:
        "../envs/zsad.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
        gpu=device_gpus(),
        device=settings.config["device"],
    params:
        cfg=scoring_config,
        code=scoring_code,
    message:
        "Scoring {wildcards.category} by {wildcards.method}"
    script:
        "../workflow_scripts/score_images.py"


rule scores:
    """All anomaly maps and image scores."""
    input:
        targets(SCORES),
