# From features to anomaly maps and image scores, once per method; fusions combine the scores of others.
#
# A method with references is fitted to them first. Its model is a separate result, which depends on no test image, so
# that a change of these is no reason to fit it again.


include: "functions/scoring.smk"


rule fit_method:
    """A method's model of its references, and the score of each reference by a fit to the others."""
    input:
        unpack(fit_files),
        learned=learned_files,
    output:
        model=MODELS,
    log:
        f"{LOGS}/fit_method/{{category}}.{{method}}.log",
    benchmark:
        f"{BENCHMARKS}/fit_method/{{category}}.{{method}}.tsv"
    wildcard_constraints:
        method=one_of(settings.fitted_methods),
    group:
        submission("detect", "fit_method")
    conda:
        environment()
    threads: cores("fit_method")
    resources:
        **on_device(),
        mem_mb=memory("fit_method"),
        runtime=duration("fit_method"),
        gpu=network_gpus(),
        scoring_mb=settings.scoring.memory_mb,
    params:
        cfg=fit_config,
        stamp=learned_stamp,
        code=fit_code,
    message:
        "Fitting {wildcards.method} to the references of {wildcards.category}"
    script:
        "../workflow_scripts/fit_method.py"


rule score_images:
    """Anomaly maps and image scores of one method."""
    input:
        unpack(scoring_files),
        learned=learned_files,
    output:
        scores=SCORES,
    log:
        f"{LOGS}/score_images/{{category}}.{{method}}.log",
    benchmark:
        f"{BENCHMARKS}/score_images/{{category}}.{{method}}.tsv"
    wildcard_constraints:
        method=one_of(name for name, entry in settings.methods.items() if not entry.members),
    group:
        submission("detect", "score_images")
    conda:
        environment()
    threads: cores("score_images")
    resources:
        **on_device(),
        mem_mb=memory("score_images"),
        runtime=duration("score_images"),
        gpu=network_gpus(),
        scoring_mb=settings.scoring.memory_mb,
    params:
        cfg=scoring_config,
        stamp=learned_stamp,
        code=scoring_code,
    message:
        "Scoring {wildcards.category} by {wildcards.method}"
    script:
        "../workflow_scripts/score_images.py"


rule fuse_scores:
    """Anomaly maps and image scores of several methods together."""
    input:
        scores=member_scores,
    output:
        scores=SCORES,
    log:
        f"{LOGS}/fuse_scores/{{category}}.{{method}}.log",
    benchmark:
        f"{BENCHMARKS}/fuse_scores/{{category}}.{{method}}.tsv"
    wildcard_constraints:
        method=one_of(name for name, entry in settings.methods.items() if entry.members and not entry.refiner),
    group:
        submission("detect", "fuse_scores")
    conda:
        "../envs/zsad.yaml"
    threads: 1
    resources:
        **on_device(wants_gpu=False),
        mem_mb=memory("fuse_scores"),
        runtime=duration("fuse_scores"),
        gpu=0,
    params:
        cfg=scoring_config,
        code=fusion_code,
    message:
        "Fusing scores of {wildcards.category}: {wildcards.method}"
    script:
        "../workflow_scripts/fuse_scores.py"


rule models:
    """All models of methods with references."""
    input:
        checked_images,
        targets(MODELS, method=settings.fitted_methods),
    localrule: True


rule scores:
    """All anomaly maps and image scores."""
    input:
        checked_images,
        targets(SCORES),
    localrule: True
