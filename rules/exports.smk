# From scores and masks to files for other programs; no other result depends on them.


include: "functions/exports.smk"


rule export_results:
    """Pictures, tables and annotations of one method's findings in every test image."""
    input:
        image_list=IMAGE_LIST,
        scores=SCORES,
        decisions=DECISIONS,
        masks=exported_masks,
    output:
        folder=directory(EXPORTS),
    log:
        f"{LOGS}/export_results/{{category}}.{{method}}.log",
    benchmark:
        f"{BENCHMARKS}/export_results/{{category}}.{{method}}.tsv"
    group:
        submission("measure", "export_results")
    conda:
        "../envs/zsad.yaml"
    threads: 1
    resources:
        mem_mb=memory("export_results"),
        runtime=duration("export_results"),
        gpu=0,
    params:
        cfg=export_config,
        code=export_code,
    message:
        "Exporting the results of {wildcards.method} for {wildcards.category}"
    script:
        "../workflow_scripts/export_results.py"


rule exports:
    """All configured exports."""
    input:
        checked_images,
        targets(EXPORTS, method=settings.exports.methods),
    localrule: True
