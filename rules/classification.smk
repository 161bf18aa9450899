# From features and labelled examples to the defect type of each image, once per classifier.
#
# Only the sampling of examples reads the labels of test images, and writes down those that are shown to the classifier.
# The classifier reads no others, and does not know the labels of the images that it classifies.


include: "functions/classification.smk"


rule read_support:
    """Read the labelled examples of a support, and list them and their kinds."""
    input:
        files=support_files,
    output:
        images=SUPPORT_LIST,
        kinds=SUPPORT_KINDS,
    log:
        f"{LOGS}/read_support/{{category}}.{{support}}.log",
    benchmark:
        f"{BENCHMARKS}/read_support/{{category}}.{{support}}.tsv"
    priority: FIRST
    group:
        submission("prepare", "read_support")
    conda:
        "../envs/zsad.yaml"
    threads: cores("read_support")
    resources:
        mem_mb=memory("read_support"),
        runtime=duration("read_support"),
        gpu=0,
    params:
        cfg=support_config,
        stamp=support_stamp,
        listing=example_listing,
        code=code("read_support.py"),
    message:
        "Reading the examples of {wildcards.support} for {wildcards.category}"
    script:
        "../workflow_scripts/read_support.py"


rule score_support:
    """Anomaly maps of one method for the examples of a support, which localise their defects."""
    input:
        unpack(support_scoring_files),
        learned=learned_files,
    output:
        scores=SUPPORT_SCORES,
    log:
        f"{LOGS}/score_support/{{category}}.{{support}}.{{method}}.log",
    benchmark:
        f"{BENCHMARKS}/score_support/{{category}}.{{support}}.{{method}}.tsv"
    wildcard_constraints:
        method=one_of({entry.method for entry in settings.classifiers.values() if entry.scores_support}),
    group:
        submission("detect", "score_support")
    conda:
        environment()
    threads: cores("score_support")
    resources:
        **on_device(),
        mem_mb=memory("score_support"),
        runtime=duration("score_support"),
        gpu=network_gpus(),
        scoring_mb=settings.scoring.memory_mb,
    params:
        cfg=scoring_config,
        stamp=learned_stamp,
        code=scoring_code,
    message:
        "Scoring the examples of {wildcards.support} for {wildcards.category} by {wildcards.method}"
    script:
        "../workflow_scripts/score_images.py"


rule draw_support:
    """Sample the images that a classifier learns from, is calibrated on, and classifies, for each seed."""
    input:
        unpack(drawn_files),
        images=IMAGE_LIST,
    output:
        split=SPLITS,
    log:
        f"{LOGS}/draw_support/{{category}}.{{classifier}}.log",
    benchmark:
        f"{BENCHMARKS}/draw_support/{{category}}.{{classifier}}.tsv"
    priority: FIRST  # an impossible sample stops a run before anything is computed
    group:
        submission("measure", "draw_support", last=True)
    conda:
        "../envs/zsad.yaml"
    threads: 1
    resources:
        mem_mb=memory("draw_support"),
        runtime=duration("draw_support"),
        gpu=0,
    params:
        cfg=drawing_config,
        code=code("draw_support.py"),
    message:
        "Sampling examples for {wildcards.classifier} on {wildcards.category}"
    script:
        "../workflow_scripts/draw_support.py"


rule outline_truth:
    """The ground-truth masks of the test images, for classifiers that only see the defect."""
    input:
        manifest=MANIFEST,
    output:
        masks=TRUE_MASKS,
    log:
        f"{LOGS}/outline_truth/{{category}}.log",
    benchmark:
        f"{BENCHMARKS}/outline_truth/{{category}}.tsv"
    group:
        submission("measure", "outline_truth", last=True)
    conda:
        "../envs/zsad.yaml"
    threads: 1
    resources:
        mem_mb=memory("outline_truth"),
        runtime=duration("outline_truth"),
        gpu=0,
    params:
        cfg=as_parameter({}),
        code=code("outline_truth.py"),
    message:
        "Storing the ground-truth masks of {wildcards.category}"
    script:
        "../workflow_scripts/outline_truth.py"


rule classify_images:
    """The defect type of each test image by one classifier, for every sample of examples."""
    input:
        unpack(classified_files),
        split=SPLITS,
    output:
        classified=CLASSIFIED,
    log:
        f"{LOGS}/classify_images/{{category}}.{{classifier}}.log",
    benchmark:
        f"{BENCHMARKS}/classify_images/{{category}}.{{classifier}}.tsv"
    group:
        submission("measure", "classify_images", last=True)
    conda:
        "../envs/zsad.yaml"
    threads: 1
    resources:
        mem_mb=memory("classify_images"),
        runtime=duration("classify_images"),
        gpu=0,
    params:
        cfg=classification_config,
        code=classification_code,
    message:
        "Classifying {wildcards.category} by {wildcards.classifier}"
    script:
        "../workflow_scripts/classify_images.py"


rule evaluate_classes:
    """Metrics of one classifier with confidence limits: its accuracy, and the coverage of its prediction sets."""
    input:
        manifest=MANIFEST,
        classified=CLASSIFIED,
    output:
        metrics=CLASS_METRICS,
    log:
        f"{LOGS}/evaluate_classes/{{category}}.{{classifier}}.log",
    benchmark:
        f"{BENCHMARKS}/evaluate_classes/{{category}}.{{classifier}}.tsv"
    group:
        submission("measure", "evaluate_classes", last=True)
    conda:
        "../envs/zsad.yaml"
    threads: 1
    resources:
        mem_mb=memory("evaluate_classes"),
        runtime=duration("evaluate_classes"),
        gpu=0,
    params:
        cfg=class_evaluation_config,
        code=code("evaluate_classes.py"),
    message:
        "Measuring {wildcards.classifier} on {wildcards.category}"
    script:
        "../workflow_scripts/evaluate_classes.py"


rule collect_classes:
    """Tables of all classifiers: their predictions and their metrics."""
    input:
        evaluations=class_targets(CLASS_METRICS),
    output:
        **class_tables(),
    log:
        f"{LOGS}/collect_classes.log",
    benchmark:
        f"{BENCHMARKS}/collect_classes.tsv"
    localrule: True
    conda:
        "../envs/zsad.yaml"
    threads: 1
    resources:
        mem_mb=memory("collect_classes"),
        runtime=duration("collect_classes"),
        gpu=0,
    params:
        cfg=as_parameter({}),
        code=code("collect_classes.py"),
    message:
        "Collecting the tables of classifiers"
    script:
        "../workflow_scripts/collect_classes.py"


rule classes:
    """The tables of all classifiers, and the lists of the examples that they learned from."""
    input:
        checked_images,
        class_targets([SUPPORT_LIST, SUPPORT_KINDS]),
        class_targets(SPLITS),
        expand(f"{TABLES}/{{file}}", dataset=settings.dataset, file=settings.measurable.class_tables.values()),
    localrule: True
