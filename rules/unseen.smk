# Check that no method has learned from the images that it is tested on, before it scores any. Training does not depend
# on this check, so that it does not run again for other test images.


include: "functions/unseen.smk"


rule check_unseen:
    """Check by file contents that a method has learned from no image of a category."""
    input:
        image_list=IMAGE_LIST,
        auxiliary=auxiliary_lists,
        learned=learned_files,
    output:
        unseen=UNSEEN,
    log:
        f"{LOGS}/check_unseen/{{category}}.{{method}}.log",
    benchmark:
        f"{BENCHMARKS}/check_unseen/{{category}}.{{method}}.tsv"
    wildcard_constraints:
        method=one_of(name for name, entry in settings.methods.items() if entry.learns_elsewhere),
    priority: FIRST
    group:
        submission("prepare", "check_unseen")
    conda:
        "../envs/zsad.yaml"
    threads: 1
    resources:
        mem_mb=memory("check_unseen"),
        runtime=duration("check_unseen"),
        gpu=0,
    params:
        cfg=learning_config,
        stamp=learned_stamp,
        code=code("check_unseen.py"),
    message:
        "Searching for images of {wildcards.category} among the training images of {wildcards.method}"
    script:
        "../workflow_scripts/check_unseen.py"
