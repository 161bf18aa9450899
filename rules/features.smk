# From images to patch features, once for each backbone, subset of images and view.


rule extract_features:
    """Patch and class tokens of a subset of a category's images."""
    input:
        manifest=MANIFEST,
        check=ancient(CHECK),
        weights=weight_files,
    output:
        features=FEATURES,
    log:
        f"{LOGS}/extract_features/{{category}}.{{backbone}}.{{subset}}.{{view}}.log",
    benchmark:
        f"{BENCHMARKS}/extract_features/{{category}}.{{backbone}}.{{subset}}.{{view}}.tsv"
    conda:
        "../envs/zsad.yaml"
    threads: extraction_threads
    resources:
        mem_mb=extraction_memory,
        runtime=120,
        gpu=extraction_gpus,
        device=settings.config["device"],
        batch=settings.extraction.resource("batch"),
        workers=settings.extraction.resource("workers"),
        compiled=settings.extraction.resource("compile"),
    params:
        cfg=extraction_config,
        code=extraction_code,
    message:
        "Extracting {wildcards.backbone} features of {wildcards.category}: {wildcards.subset}, {wildcards.view}"
    script:
        "../workflow_scripts/extract_features.py"


rule features:
    """All features that the configured methods need."""
    input:
        all_feature_files,
