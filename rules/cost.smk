# From the benchmarks of all jobs to the cost of each method.


include: "functions/cost.smk"


rule collect_costs:
    """Seconds and peak memory of every method, stage and image, from the benchmarks of the run."""
    input:
        images_csv=f"{TABLES}/images.csv",
        metrics_csv=made_table("metrics_csv"),
        table_sums=TABLE_SUMS,
        image_lists=targets(IMAGE_LIST),
    output:
        cost_csv=report(
            f"{TABLES}/cost.csv",
            caption="report/cost.rst",
            category="Tables",
            labels={"table": "cost"},
        ),
        markdown=f"{TABLES}/cost.md",
        latex=f"{TABLES}/cost.tex",
        checksums=COST_SUMS,
    log:
        f"{LOGS}/collect_costs.log",
    benchmark:
        f"{BENCHMARKS}/collect_costs.tsv"
    localrule: True
    conda:
        "../envs/zsad.yaml"
    threads: 1
    resources:
        mem_mb=memory("collect_costs"),
        runtime=duration("collect_costs"),
        gpu=0,
    params:
        cfg=cost_config,
        code=code("collect_costs.py"),
    message:
        "Collecting the costs"
    script:
        "../workflow_scripts/collect_costs.py"
