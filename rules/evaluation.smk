# From scores and masks to metrics; the only stage that reads test labels.


include: "functions/evaluation.smk"


rule evaluate_scores:
    """Image and pixel metrics of one method's scores, with confidence limits and curves."""
    input:
        manifest=MANIFEST,
        scores=SCORES,
        decisions=DECISIONS,
        saturation=saturation_table,
    output:
        **draws_beside(SCORE_DRAWS),
        metrics=SCORE_METRICS,
    log:
        f"{LOGS}/evaluate_scores/{{category}}.{{method}}.log",
    benchmark:
        f"{BENCHMARKS}/evaluate_scores/{{category}}.{{method}}.tsv"
    group:
        submission("measure", "evaluate_scores")
    conda:
        "../envs/zsad.yaml"
    threads: 1
    resources:
        mem_mb=memory("evaluate_scores"),
        runtime=duration("evaluate_scores"),
        gpu=0,
    params:
        cfg=evaluation_config,
        stamp=saturation_stamp,
        code=code("evaluate_scores.py"),
    message:
        "Measuring {wildcards.method} on {wildcards.category}"
    script:
        "../workflow_scripts/evaluate_scores.py"


rule evaluate_masks:
    """Agreement of one refiner's masks with the ground truth, compared with that of the thresholded maps."""
    input:
        manifest=MANIFEST,
        scores=SCORES,
        decisions=DECISIONS,
        masks=MASKS,
    output:
        **draws_beside(MASK_DRAWS),
        metrics=MASK_METRICS,
    log:
        f"{LOGS}/evaluate_masks/{{category}}.{{method}}.{{refiner}}.log",
    benchmark:
        f"{BENCHMARKS}/evaluate_masks/{{category}}.{{method}}.{{refiner}}.tsv"
    group:
        submission("measure", "evaluate_masks")
    conda:
        "../envs/zsad.yaml"
    threads: 1
    resources:
        mem_mb=memory("evaluate_masks"),
        runtime=duration("evaluate_masks"),
        gpu=0,
    params:
        cfg=as_parameter({"options": settings.evaluation.parameters()}),
        code=code("evaluate_masks.py"),
    message:
        "Measuring the masks of {wildcards.method} by {wildcards.refiner} on {wildcards.category}"
    script:
        "../workflow_scripts/evaluate_masks.py"


rule evaluate_oracle:
    """The upper bound of a segmentation model: its masks for boxes from the ground truth."""
    input:
        manifest=MANIFEST,
        embeddings=EMBEDDINGS.replace("{subset}", "test"),
        weights=segmenter_files,
    output:
        metrics=ORACLE_METRICS,
        draws=ORACLE_DRAWS,
    log:
        f"{LOGS}/evaluate_oracle/{{category}}.{{segmenter}}.log",
    benchmark:
        f"{BENCHMARKS}/evaluate_oracle/{{category}}.{{segmenter}}.tsv"
    group:
        submission("detect", "evaluate_oracle")
    conda:
        environment()
    threads: cores("evaluate_oracle")
    resources:
        **on_device(),
        mem_mb=memory("evaluate_oracle"),
        runtime=duration("evaluate_oracle"),
        gpu=network_gpus(),
    params:
        cfg=oracle_config,
        stamp=segmenter_stamp,
        code=oracle_code,
    message:
        "Measuring {wildcards.segmenter} with ground-truth boxes on {wildcards.category}"
    script:
        "../workflow_scripts/evaluate_oracle.py"


rule collect_tables:
    """Tables of all metrics, defect types, images, comparisons and refinement, and the tables for a paper."""
    input:
        score_metrics=targets(SCORE_METRICS),
        score_draws=measured_targets(SCORE_DRAWS),
        mask_metrics=measured_targets(MASK_METRICS),
        mask_draws=measured_targets(MASK_DRAWS),
        oracle_metrics=oracle_targets(ORACLE_METRICS),
        oracle_draws=oracle_targets(ORACLE_DRAWS),
    output:
        **collected_tables(),
    log:
        f"{LOGS}/collect_tables.log",
    benchmark:
        f"{BENCHMARKS}/collect_tables.tsv"
    localrule: True
    conda:
        "../envs/zsad.yaml"
    threads: 1
    resources:
        mem_mb=memory("collect_tables"),
        runtime=duration("collect_tables"),
        gpu=0,
    params:
        cfg=tables_config,
        code=code("collect_tables.py"),
    message:
        "Collecting the tables"
    script:
        "../workflow_scripts/collect_tables.py"


rule tables:
    """The tables, and the lists of images behind them, so that a missing one is made again."""
    input:
        targets(IMAGE_LIST),
        targets(UNREADABLE),
        targets(MANIFEST),
        expand(f"{TABLES}/{{file}}", dataset=settings.dataset, file=settings.measurable.tables.values()),
        expand(f"{TABLES}/cost.{{kind}}", kind=["csv", "md", "tex", "sha256"], dataset=settings.dataset),
    localrule: True
