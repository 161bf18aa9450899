# That no method has learned from the images that it is tested on, looked at before it scores any. A
# training does not wait for it, so that it stays as it is, whatever is tested.


include: "functions/unseen.smk"


rule check_unseen:
    """Whether a method has learned from no image of a category, by the contents of their files."""
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
        "Looking for images of {wildcards.category} among those that {wildcards.method} learns from"
    script:
        "../workflow_scripts/check_unseen.py"
