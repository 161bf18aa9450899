# From the features and the ground truth of an auxiliary data set to learned weights, once for all categories.
# The file is a separate result, which can be shared and given by its path. No image under test is read for it.


include: "functions/training.smk"


rule train_method:
    """Train a method on the labelled images of another data set."""
    input:
        unpack(training_files),
    output:
        trained=TRAINED,
    log:
        f"{LOGS}/train_method/{{method}}.log",
    benchmark:
        f"{BENCHMARKS}/train_method/{{method}}.tsv"
    wildcard_constraints:
        method=one_of(settings.trained_methods),
    conda:
        environment()
    threads: cores("train_method")
    resources:
        **on_device(),
        mem_mb=memory("train_method"),
        runtime=duration("train_method"),
        gpu=network_gpus(),
        scoring_mb=settings.scoring.memory_mb,
    params:
        cfg=training_config,
        code=training_code,
    message:
        "Training {wildcards.method} on another data set"
    script:
        "../workflow_scripts/train_method.py"


rule trained:
    """All weights that methods learn from another data set."""
    input:
        checked_images,
        targets(TRAINED, method=settings.trained_methods),
    localrule: True
