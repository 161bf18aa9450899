# From a folder of images to the manifest of each category.


rule make_demo:
    """Generate a category of the demo set; the output lists the checksums of its images."""
    output:
        checksums="results/data/{dataset}/{category}.sha256",
    log:
        f"{LOGS}/make_demo/{{category}}.log",
    benchmark:
        f"{BENCHMARKS}/make_demo/{{category}}.tsv"
    conda:
        "../envs/zsad.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
        gpu=0,
    params:
        cfg=frozen(settings.demo_options.parameters()),
        code=code("make_demo.py"),
    message:
        "Drawing the demo images of {wildcards.category}"
    script:
        "../workflow_scripts/make_demo.py"


rule build_manifest:
    """List a category's images, with labels, masks, sizes and checksums."""
    input:
        files=image_files,
    output:
        manifest=MANIFEST,
    log:
        f"{LOGS}/build_manifest/{{category}}.log",
    benchmark:
        f"{BENCHMARKS}/build_manifest/{{category}}.tsv"
    conda:
        "../envs/zsad.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=20,
        gpu=0,
    params:
        cfg=frozen({"layout": settings.layout_name, "root": settings.root.as_posix()}),
        code=code("build_manifest.py", LAYOUTS.entry(settings.layout_name)),
    message:
        "Listing the images of {wildcards.category}"
    script:
        "../workflow_scripts/build_manifest.py"
