# From scores to decisions, once per method; a changed threshold rule does not compute scores again.


include: "functions/decisions.smk"


rule decide_images:
    """The decisions of one method for each image, by its threshold rule."""
    input:
        unpack(deciding_files),
        scores=SCORES,
    output:
        decisions=DECISIONS,
    log:
        f"{LOGS}/decide_images/{{category}}.{{method}}.log",
    benchmark:
        f"{BENCHMARKS}/decide_images/{{category}}.{{method}}.tsv"
    wildcard_constraints:
        method=one_of(name for name, entry in settings.methods.items() if not entry.refiner),
    group:
        beside_scores
    conda:
        "../envs/zsad.yaml"
    threads: 1
    resources:
        **on_device_of_scores(),
        mem_mb=memory("decide_images"),
        runtime=duration("decide_images"),
        gpu=0,
    params:
        cfg=deciding_config,
        code=deciding_code,
    message:
        "Deciding on the images of {wildcards.category} by {wildcards.method}"
    script:
        "../workflow_scripts/decide_images.py"


rule adopt_decisions:
    """The decisions of a modulation, by the thresholds of the method whose maps it modulates."""
    input:
        scores=SCORES,
        decisions=member_decisions,
    output:
        decisions=DECISIONS,
    log:
        f"{LOGS}/adopt_decisions/{{category}}.{{method}}.log",
    benchmark:
        f"{BENCHMARKS}/adopt_decisions/{{category}}.{{method}}.tsv"
    wildcard_constraints:
        method=one_of(name for name, entry in settings.methods.items() if entry.refiner),
    group:
        beside_scores
    conda:
        "../envs/zsad.yaml"
    threads: 1
    resources:
        **on_device(wants_gpu=False),
        mem_mb=memory("adopt_decisions"),
        runtime=duration("adopt_decisions"),
        gpu=0,
    params:
        cfg=as_parameter({}),
        code=code("adopt_decisions.py"),
    message:
        "Deciding on the images of {wildcards.category} by {wildcards.method}, with the thresholds of its method"
    script:
        "../workflow_scripts/adopt_decisions.py"


rule decisions:
    """All decisions."""
    input:
        checked_images,
        targets(DECISIONS),
    localrule: True
