# From the web, or a folder of images, to the images, labels and masks of each category.


include: "functions/data.smk"


checkpoint download_dataset:
    """Download and unpack a published data set; only then its categories are known."""
    output:
        record=DOWNLOAD,
    log:
        f"{OWN_LOGS}/download_dataset/{{published}}.log",
    benchmark:
        f"{OWN_BENCHMARKS}/download_dataset/{{published}}.tsv"
    localrule: True
    conda:
        "../envs/zsad.yaml"
    threads: 1
    resources:
        mem_mb=memory("download_dataset"),
        runtime=duration("download_dataset"),
        gpu=0,
    params:
        cfg=download_config,
        code=code("download_dataset.py"),
    message:
        "Downloading {wildcards.published}"
    script:
        "../workflow_scripts/download_dataset.py"


rule make_demo:
    """Generate a category of the demo set; the output lists the checksums of its images."""
    output:
        checksums=DEMO_SUMS,
    log:
        f"{LOGS}/make_demo/{{category}}.log",
    benchmark:
        f"{BENCHMARKS}/make_demo/{{category}}.tsv"
    wildcard_constraints:
        dataset=EITHER,
    group:
        submission("prepare", "prepare")
    conda:
        "../envs/zsad.yaml"
    threads: 1
    resources:
        mem_mb=memory("make_demo"),
        runtime=duration("make_demo"),
        gpu=0,
    params:
        cfg=demo_config,
        code=code("make_demo.py"),
    message:
        "Rendering the demo images of {wildcards.category}"
    script:
        "../workflow_scripts/make_demo.py"


# Read, listed and checked before anything expensive is computed from any category.
FIRST = 1


rule read_images:
    """Decode a category's images and list them with sizes and checksums; list unreadable images, too."""
    input:
        files=image_files,
    output:
        image_list=IMAGE_LIST,
        unreadable=UNREADABLE,
    log:
        f"{LOGS}/read_images/{{category}}.log",
    benchmark:
        f"{BENCHMARKS}/read_images/{{category}}.tsv"
    wildcard_constraints:
        dataset=EITHER,
    priority: FIRST
    group:
        submission("prepare", "prepare")
    conda:
        "../envs/zsad.yaml"
    threads: cores("read_images")
    resources:
        mem_mb=memory("read_images"),
        runtime=duration("read_images"),
        gpu=0,
    params:
        cfg=reading_config,
        stamp=image_stamp,
        listing=listing("images_digest"),
        code=layout_code("read_images.py"),
        section=section,
    message:
        "Reading the images of {wildcards.category}"
    script:
        "../workflow_scripts/read_images.py"


rule read_training:
    """List only the training images, for results that do not depend on the test images."""
    input:
        files=train_files,
    output:
        training_list=TRAINING_LIST,
    log:
        f"{LOGS}/read_training/{{category}}.log",
    benchmark:
        f"{BENCHMARKS}/read_training/{{category}}.tsv"
    wildcard_constraints:
        dataset=EITHER,
    priority: FIRST
    group:
        submission("prepare", "read_training")
    conda:
        "../envs/zsad.yaml"
    threads: cores("read_training")
    resources:
        mem_mb=memory("read_training"),
        runtime=duration("read_training"),
        gpu=0,
    params:
        cfg=reading_config,
        stamp=train_stamp,
        listing=listing("train_digest"),
        code=layout_code("read_training.py"),
        section=section,
    message:
        "Reading the training images of {wildcards.category}"
    script:
        "../workflow_scripts/read_training.py"


rule make_synthetic:
    """Make images with synthetic anomalies from references, for training methods; a sheet shows some of them."""
    input:
        training_list=list_of_references,
    output:
        image_list=SYNTHETIC_LIST,
        manifest=SYNTHETIC_MANIFEST,
        origins=SYNTHETIC_ORIGINS,
        sheet=SYNTHETIC_SHEET,
    log:
        f"{LOGS}/make_synthetic/{{category}}.{{subset}}.log",
    benchmark:
        f"{BENCHMARKS}/make_synthetic/{{category}}.{{subset}}.tsv"
    wildcard_constraints:
        subset=SYNTHETIC,
    group:
        submission("prepare", "make_synthetic")
    conda:
        "../envs/zsad.yaml"
    threads: cores("make_synthetic")
    resources:
        mem_mb=memory("make_synthetic"),
        runtime=duration("make_synthetic"),
        gpu=0,
    params:
        cfg=as_parameter({}),
        code=code("make_synthetic.py"),
    message:
        "Making synthetic anomalies for {wildcards.category}: {wildcards.subset}"
    script:
        "../workflow_scripts/make_synthetic.py"


rule build_manifest:
    """The list of images with ground truth: labels, defect types and masks."""
    input:
        image_list=IMAGE_LIST,
        files=truth_files,
    output:
        manifest=MANIFEST,
    log:
        f"{LOGS}/build_manifest/{{category}}.log",
    benchmark:
        f"{BENCHMARKS}/build_manifest/{{category}}.tsv"
    wildcard_constraints:
        dataset=EITHER,
    priority: FIRST
    group:
        submission("prepare", "prepare")
    conda:
        "../envs/zsad.yaml"
    threads: 1
    resources:
        mem_mb=memory("build_manifest"),
        runtime=duration("build_manifest"),
        gpu=0,
    params:
        cfg=layout_config,
        stamp=truth_stamp,
        listing=listing("truth_digest"),
        code=layout_code("build_manifest.py"),
        section=section,
    message:
        "Listing the labels and masks of {wildcards.category}"
    script:
        "../workflow_scripts/build_manifest.py"


rule check_images:
    """Check a category's images for problems before anything expensive is computed from them."""
    input:
        manifest=MANIFEST,
        unreadable=UNREADABLE,
        files=checked_files,
    output:
        check=CHECK,
    log:
        f"{LOGS}/check_images/{{category}}.log",
    benchmark:
        f"{BENCHMARKS}/check_images/{{category}}.tsv"
    wildcard_constraints:
        dataset=EITHER,
    priority: FIRST
    group:
        submission("prepare", "prepare")
    conda:
        "../envs/zsad.yaml"
    threads: 1
    resources:
        mem_mb=memory("check_images"),
        runtime=duration("check_images"),
        gpu=0,
    params:
        cfg=check_config,
        stamp=checked_stamp,
        code=layout_code("check_images.py"),
        section=section,
        suitability=asked_methods,
    message:
        "Checking the images of {wildcards.category}"
    script:
        "../workflow_scripts/check_images.py"
