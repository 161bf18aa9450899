# From images to patch features, once per backbone, subset of images and view; several may be joined.


include: "functions/features.smk"


rule extract_features:
    """Patch and class tokens of a subset of a category's images."""
    input:
        image_list=list_of_subset,
        weights=weight_files,
    output:
        features=FEATURES,
    log:
        f"{LOGS}/extract_features/{{category}}.{{backbone}}.{{subset}}.{{view}}.log",
    benchmark:
        f"{BENCHMARKS}/extract_features/{{category}}.{{backbone}}.{{subset}}.{{view}}.tsv"
    wildcard_constraints:
        dataset=EITHER,
        backbone=one_of(name for name, entry in settings.backbones.items() if not entry.members),
    group:
        submission("detect", "extract_features")
    conda:
        environment()
    threads: cores("extract_features")
    resources:
        **on_device(wants_gpu=any(map(is_network, settings.backbones.values()))),
        mem_mb=memory("extract_features"),
        runtime=duration("extract_features"),
        gpu=extraction_gpus,
        shared=settings.sharing.resource("features"),
        max_patches=allowed_patches,
    params:
        cfg=extraction_config,
        stamp=weight_stamp,
        code=extraction_code,
        suitability=asked_methods,
        section=section,
    message:
        "Extracting {wildcards.backbone} features of {wildcards.category}: {wildcards.subset}, {wildcards.view}"
    script:
        "../workflow_scripts/extract_features.py"


rule join_features:
    """The concatenated features of several backbones, from the files of each."""
    input:
        features=joined_files,
    output:
        features=FEATURES,
    log:
        f"{LOGS}/join_features/{{category}}.{{backbone}}.{{subset}}.{{view}}.log",
    benchmark:
        f"{BENCHMARKS}/join_features/{{category}}.{{backbone}}.{{subset}}.{{view}}.tsv"
    wildcard_constraints:
        dataset=EITHER,
        backbone=one_of(name for name, entry in settings.backbones.items() if entry.members),
    group:
        submission("detect", "join_features")
    conda:
        "../envs/zsad.yaml"
    threads: 1
    resources:
        **on_device(wants_gpu=False),
        mem_mb=memory("join_features"),
        runtime=duration("join_features"),
        gpu=0,
    params:
        cfg=extraction_config,
        code=joining_code,
    message:
        "Joining {wildcards.backbone} features of {wildcards.category}: {wildcards.subset}, {wildcards.view}"
    script:
        "../workflow_scripts/join_features.py"


rule features:
    """All features that the configured methods need."""
    input:
        checked_images,
        all_feature_files,
    localrule: True
