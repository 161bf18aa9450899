# From scores and masks to figures of merit; the only stage that sees test labels.


rule evaluate_scores:
    """Image and pixel metrics of one method's scores, with confidence limits and curves."""
    input:
        manifest=MANIFEST,
        scores=SCORES,
        saturation=saturation_table,
    output:
        metrics=SCORE_METRICS,
        draws=SCORE_DRAWS,
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
        code=code("evaluate_scores.py"),
    message:
        "Measuring {wildcards.method} on {wildcards.category}"
    script:
        "../workflow_scripts/evaluate_scores.py"


rule evaluate_masks:
    """Agreement of one refiner's masks with the ground truth, beside that of the thresholded maps before."""
    input:
        manifest=MANIFEST,
        scores=SCORES,
        masks=MASKS,
    output:
        metrics=MASK_METRICS,
        draws=MASK_DRAWS,
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
        cfg=frozen({"options": settings.evaluation.parameters()}),
        code=code("evaluate_masks.py"),
    message:
        "Measuring the masks of {wildcards.method} by {wildcards.refiner} on {wildcards.category}"
    script:
        "../workflow_scripts/evaluate_masks.py"


rule evaluate_oracle:
    """The ceiling of a segmentation model: its masks when it is prompted with boxes from the ground truth."""
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
        code=oracle_code,
    message:
        "Measuring {wildcards.segmenter} with true boxes on {wildcards.category}"
    script:
        "../workflow_scripts/evaluate_oracle.py"


rule collect_tables:
    """Tables of all metrics, types of defect, images, comparisons and refinement, and the tables for a paper."""
    input:
        score_metrics=targets(SCORE_METRICS),
        score_draws=targets(SCORE_DRAWS),
        mask_metrics=targets(MASK_METRICS),
        mask_draws=targets(MASK_DRAWS),
        oracle_metrics=targets(ORACLE_METRICS, segmenter=settings.oracle_segmenters),
        oracle_draws=targets(ORACLE_DRAWS, segmenter=settings.oracle_segmenters),
    output:
        metrics_csv=report(
            f"{TABLES}/metrics.csv",
            caption="report/metrics.rst",
            category="Tables",
            labels={"table": "all metrics"},
        ),
        defect_types_csv=report(
            f"{TABLES}/defect_types.csv",
            caption="report/defect_types.rst",
            category="Tables",
            labels={"table": "types of defect"},
        ),
        images_csv=report(
            f"{TABLES}/images.csv",
            caption="report/images.rst",
            category="Tables",
            labels={"table": "all images"},
        ),
        refinement_csv=report(
            f"{TABLES}/refinement.csv",
            caption="report/refinement.rst",
            category="Tables",
            labels={"table": "refinement"},
        ),
        comparisons_csv=report(
            f"{TABLES}/comparisons.csv",
            caption="report/comparisons.rst",
            category="Tables",
            labels={"table": "comparisons"},
        ),
        markdown=f"{TABLES}/metrics.md",
        latex=f"{TABLES}/metrics.tex",
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
    """The tables."""
    input:
        expand(rules.collect_tables.output, dataset=settings.dataset),
        expand(f"{TABLES}/cost.{{kind}}", kind=["csv", "md", "tex"], dataset=settings.dataset),
