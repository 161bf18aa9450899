# From features to anomaly maps and image scores, once for each method; fusions combine the scores of others.


rule score_images:
    """Anomaly maps, image scores and label-free thresholds of one method."""
    input:
        unpack(scoring_files),
    output:
        scores=SCORES,
    log:
        f"{LOGS}/score_images/{{category}}.{{method}}.log",
    benchmark:
        f"{BENCHMARKS}/score_images/{{category}}.{{method}}.tsv"
    wildcard_constraints:
        method=named(name for name, entry in settings.methods.items() if not entry.members),
    conda:
        "../envs/zsad.yaml"
    threads: scoring_threads
    resources:
        mem_mb=2000 + 2 * settings.scoring.memory_mb,
        runtime=60,
        gpu=device_gpus(),
        device=settings.config["device"],
        scoring_mb=settings.scoring.memory_mb,
    params:
        cfg=scoring_config,
        code=scoring_code,
    message:
        "Scoring {wildcards.category} by {wildcards.method}"
    script:
        "../workflow_scripts/score_images.py"


rule fuse_scores:
    """Anomaly maps, image scores and label-free thresholds of several methods together."""
    input:
        scores=member_scores,
    output:
        scores=SCORES,
    log:
        f"{LOGS}/fuse_scores/{{category}}.{{method}}.log",
    benchmark:
        f"{BENCHMARKS}/fuse_scores/{{category}}.{{method}}.tsv"
    wildcard_constraints:
        method=named(name for name, entry in settings.methods.items() if entry.members and not entry.refiner),
    conda:
        "../envs/zsad.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
        gpu=0,
    params:
        cfg=scoring_config,
        code=fusion_code,
    message:
        "Fusing scores of {wildcards.category}: {wildcards.method}"
    script:
        "../workflow_scripts/fuse_scores.py"


rule scores:
    """All anomaly maps and image scores."""
    input:
        targets(SCORES),
