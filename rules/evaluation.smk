# From scores and masks to figures of merit; the only stage that sees test labels.


rule evaluate_scores:
    """Image and pixel metrics of one method's scores, with confidence limits and curves."""
    input:
        manifest=MANIFEST,
        scores=SCORES,
    output:
        metrics=SCORE_METRICS,
    log:
        f"{LOGS}/evaluate_scores/{{category}}.{{method}}.log",
    benchmark:
        f"{BENCHMARKS}/evaluate_scores/{{category}}.{{method}}.tsv"
    conda:
        "../envs/zsad.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
        gpu=0,
    params:
        cfg=evaluation_config,
        code=code("evaluate_scores.py"),
    message:
        "Measuring {wildcards.method} on {wildcards.category}"
    script:
        "../workflow_scripts/evaluate_scores.py"


rule evaluate_masks:
    """Agreement of one refiner's masks with the ground truth."""
    input:
        manifest=MANIFEST,
        masks=MASKS,
    output:
        metrics=MASK_METRICS,
    log:
        f"{LOGS}/evaluate_masks/{{category}}.{{method}}.{{refiner}}.log",
    benchmark:
        f"{BENCHMARKS}/evaluate_masks/{{category}}.{{method}}.{{refiner}}.tsv"
    conda:
        "../envs/zsad.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
        gpu=0,
    params:
        cfg=frozen({}),
        code=code("evaluate_masks.py"),
    message:
        "Measuring the masks of {wildcards.method} by {wildcards.refiner} on {wildcards.category}"
    script:
        "../workflow_scripts/evaluate_masks.py"


rule collect_tables:
    """One table of all metrics, one of all images, and the tables for a paper."""
    input:
        score_metrics=targets(SCORE_METRICS, dataset="{dataset}"),
        mask_metrics=targets(MASK_METRICS, dataset="{dataset}"),
    output:
        metrics_csv=report(
            f"{TABLES}/metrics.csv",
            caption="report/metrics.rst",
            category="Tables",
            labels={"table": "all metrics"},
        ),
        images_csv=report(
            f"{TABLES}/images.csv",
            caption="report/images.rst",
            category="Tables",
            labels={"table": "all images"},
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
        mem_mb=1000,
        runtime=10,
        gpu=0,
    params:
        cfg=frozen({}),
        code=code("collect_tables.py"),
    message:
        "Collecting the tables"
    script:
        "../workflow_scripts/collect_tables.py"


rule tables:
    """The tables."""
    input:
        expand(rules.collect_tables.output, dataset=settings.dataset),
