# From results to pictures and the page.


include: "functions/report.smk"


rule draw_thumbnails:
    """Thumbnails of all test images, for the page."""
    input:
        image_list=IMAGE_LIST,
    output:
        thumbnails=THUMBNAILS,
    log:
        f"{LOGS}/draw_thumbnails/{{category}}.log",
    benchmark:
        f"{BENCHMARKS}/draw_thumbnails/{{category}}.tsv"
    group:
        submission("measure", "draw")
    conda:
        "../envs/zsad.yaml"
    threads: 1
    resources:
        mem_mb=memory("draw_thumbnails"),
        runtime=duration("draw_thumbnails"),
        gpu=0,
    params:
        cfg=as_parameter({"longer_side": settings.report.thumbnail}),
        code=code("draw_thumbnails.py"),
    message:
        "Making thumbnails of {wildcards.category}"
    script:
        "../workflow_scripts/draw_thumbnails.py"


rule draw_support_thumbnails:
    """Thumbnails of all labelled examples of a support, for the page."""
    input:
        image_list=SUPPORT_LIST,
    output:
        thumbnails=SUPPORT_THUMBNAILS,
    log:
        f"{LOGS}/draw_support_thumbnails/{{category}}.{{support}}.log",
    benchmark:
        f"{BENCHMARKS}/draw_support_thumbnails/{{category}}.{{support}}.tsv"
    group:
        submission("measure", "draw_support_thumbnails")
    conda:
        "../envs/zsad.yaml"
    threads: 1
    resources:
        mem_mb=memory("draw_support_thumbnails"),
        runtime=duration("draw_support_thumbnails"),
        gpu=0,
    params:
        cfg=as_parameter({"longer_side": settings.report.thumbnail}),
        code=code("draw_thumbnails.py"),
    message:
        "Making thumbnails of the examples of {wildcards.support} for {wildcards.category}"
    script:
        "../workflow_scripts/draw_thumbnails.py"


rule draw_gallery:
    """The images with the highest, lowest and most wrong scores, with map and mask; maps and outlines of all images."""
    input:
        manifest=MANIFEST,
        scores=SCORES,
        decisions=DECISIONS,
        evaluation=SCORE_METRICS,
        masks=shown_masks,
    output:
        sheet=report(
            GALLERY_SHEET,
            caption="report/gallery.rst",
            category="Galleries",
            subcategory="{category}",
            labels={"method": "{method}"},
        ),
        panels=GALLERY_PANELS,
        layers=LAYERS,
    log:
        f"{LOGS}/draw_gallery/{{category}}.{{method}}.log",
    benchmark:
        f"{BENCHMARKS}/draw_gallery/{{category}}.{{method}}.tsv"
    group:
        submission("measure", "draw")
    conda:
        "../envs/zsad.yaml"
    threads: 1
    resources:
        mem_mb=memory("draw_gallery"),
        runtime=duration("draw_gallery"),
        gpu=0,
    params:
        cfg=as_parameter({"options": settings.report.drawing(), "refiner": settings.report_refiner}),
        code=code("draw_gallery.py"),
    message:
        "Plotting the gallery of {wildcards.category} by {wildcards.method}"
    script:
        "../workflow_scripts/draw_gallery.py"


# Without a measurable ranking there are no curves. Jobs on a cluster already know their rule.
WITH_CURVES = (
    one_of(map(re.escape, filter(settings.measurable.has_curves, settings.categories)))
    if is_main_process(workflow) and settings.data.is_here
    else r"[^/]+" if settings.measurable.has_ranking else r"(?!)"
)


ruleorder: draw_plots > draw_histograms


rule draw_plots:
    """Curves and score histograms of all methods on one category."""
    input:
        evaluations=expand(SCORE_METRICS, method=settings.methods, allow_missing=True),
    output:
        **vector_plots(curves=CURVES, histograms=HISTOGRAMS),
        curves=report(
            CURVES,
            caption="report/curves.rst",
            category="Plots",
            subcategory="{category}",
            labels={"plot": "ROC, PR and PRO curves"},
        ),
        histograms=report(
            HISTOGRAMS,
            caption="report/histograms.rst",
            category="Plots",
            subcategory="{category}",
            labels={"plot": "score histograms"},
        ),
    log:
        f"{LOGS}/draw_plots/{{category}}.log",
    benchmark:
        f"{BENCHMARKS}/draw_plots/{{category}}.tsv"
    wildcard_constraints:
        category=WITH_CURVES,
    group:
        submission("measure", "draw", last=True)
    conda:
        "../envs/zsad.yaml"
    threads: 1
    resources:
        mem_mb=memory("draw_plots"),
        runtime=duration("draw_plots"),
        gpu=0,
    params:
        cfg=as_parameter(settings.report.plotting()),
        code=code("draw_plots.py"),
    message:
        "Plotting curves and histograms of {wildcards.category}"
    script:
        "../workflow_scripts/draw_plots.py"


rule draw_histograms:
    """Score histograms of all methods on a category without a measurable ranking."""
    input:
        evaluations=expand(SCORE_METRICS, method=settings.methods, allow_missing=True),
    output:
        **vector_plots(histograms=HISTOGRAMS),
        histograms=report(
            HISTOGRAMS,
            caption="report/histograms.rst",
            category="Plots",
            subcategory="{category}",
            labels={"plot": "score histograms"},
        ),
    log:
        f"{LOGS}/draw_histograms/{{category}}.log",
    benchmark:
        f"{BENCHMARKS}/draw_histograms/{{category}}.tsv"
    wildcard_constraints:
        category=r"[^/]+",
    group:
        submission("measure", "draw", last=True)
    conda:
        "../envs/zsad.yaml"
    threads: 1
    resources:
        mem_mb=memory("draw_plots"),
        runtime=duration("draw_plots"),
        gpu=0,
    params:
        cfg=as_parameter(settings.report.plotting()),
        code=code("draw_plots.py"),
    message:
        "Plotting histograms of {wildcards.category}"
    script:
        "../workflow_scripts/draw_plots.py"


# Without labelled images no classification can be evaluated.
WITH_KINDS = (
    one_of(map(re.escape, filter(settings.measurable.has_kinds, settings.categories)))
    if is_main_process(workflow) and settings.data.is_here
    else r"[^/]+" if settings.classifiers else r"(?!)"
)


rule draw_confusion:
    """The confusion matrix of a classifier on one category: numbers of images, and shares of each true kind."""
    input:
        evaluation=CLASS_METRICS,
    output:
        **vector_plots(confusion=CONFUSION),
        confusion=report(
            CONFUSION,
            caption="report/confusion.rst",
            category="Plots",
            subcategory="{category}",
            labels={"plot": "confusions by {classifier}"},
        ),
    log:
        f"{LOGS}/draw_confusion/{{category}}.{{classifier}}.log",
    benchmark:
        f"{BENCHMARKS}/draw_confusion/{{category}}.{{classifier}}.tsv"
    wildcard_constraints:
        category=WITH_KINDS,
    group:
        submission("measure", "draw_confusion", last=True)
    conda:
        "../envs/zsad.yaml"
    threads: 1
    resources:
        mem_mb=memory("draw_confusion"),
        runtime=duration("draw_confusion"),
        gpu=0,
    params:
        cfg=as_parameter(settings.report.plotting()),
        code=code("draw_confusion.py"),
    message:
        "Plotting the confusion matrix of {wildcards.classifier} on {wildcards.category}"
    script:
        "../workflow_scripts/draw_confusion.py"


rule draw_shots:
    """Accuracy of all classifiers on one category against the number of labelled examples of each kind."""
    input:
        evaluations=expand(CLASS_METRICS, classifier=settings.classifiers, allow_missing=True),
    output:
        **vector_plots(shots=SHOTS_PLOT),
        shots=report(
            SHOTS_PLOT,
            caption="report/shots.rst",
            category="Plots",
            subcategory="{category}",
            labels={"plot": "accuracy against examples"},
        ),
    log:
        f"{LOGS}/draw_shots/{{category}}.log",
    benchmark:
        f"{BENCHMARKS}/draw_shots/{{category}}.tsv"
    wildcard_constraints:
        category=WITH_KINDS,
    group:
        submission("measure", "draw_shots", last=True)
    conda:
        "../envs/zsad.yaml"
    threads: 1
    resources:
        mem_mb=memory("draw_shots"),
        runtime=duration("draw_shots"),
        gpu=0,
    params:
        cfg=as_parameter(settings.report.plotting()),
        code=code("draw_shots.py"),
    message:
        "Plotting accuracy against the number of examples on {wildcards.category}"
    script:
        "../workflow_scripts/draw_shots.py"


rule draw_summary:
    """All methods side by side over the categories."""
    input:
        metrics_csv=once_downloaded(f"{TABLES}/metrics.csv"),
        table_sums=TABLE_SUMS,
        cost_csv=f"{TABLES}/cost.csv",
        cost_sums=COST_SUMS,
    output:
        **vector_plots(**{Path(plot).stem: f"{PLOTS}/{plot}" for plot in OVERALL_PLOTS}),
        **shown_sweeps(),
        summary=report(
            f"{PLOTS}/summary.png",
            caption="report/summary.rst",
            category="Plots",
            labels={"plot": "summary"},
        ),
        bars=report(
            f"{PLOTS}/bars.png",
            caption="report/bars.rst",
            category="Plots",
            labels={"plot": "each category"},
        ),
        quality_cost=report(
            f"{PLOTS}/quality_cost.png",
            caption="report/quality_cost.rst",
            category="Plots",
            labels={"plot": "quality against cost"},
        ),
    log:
        f"{LOGS}/draw_summary.log",
    benchmark:
        f"{BENCHMARKS}/draw_summary.tsv"
    localrule: True
    conda:
        "../envs/zsad.yaml"
    threads: 1
    resources:
        mem_mb=memory("draw_summary"),
        runtime=duration("draw_summary"),
        gpu=0,
    params:
        cfg=summary_config(),
        code=code("draw_summary.py"),
    message:
        "Plotting the summary, the bars of each category, and quality against cost"
    script:
        "../workflow_scripts/draw_summary.py"


rule build_page:
    """The page: one HTML file that opens offline, or an index with one page per category if it would be too large."""
    input:
        **{
            name: made_table(name)
            for name in ("metrics_csv", "refinement_csv", "comparisons_csv", "against_csv")
        },
        **{Path(plot).stem: f"{PLOTS}/{plot}" for plot in settings.measurable.overall_plots},
        sweeps=list(sweep_plots().values()),
        table_sums=TABLE_SUMS,
        cost_csv=f"{TABLES}/cost.csv",
        cost_sums=COST_SUMS,
        evaluations=targets(SCORE_METRICS),
        mask_evaluations=targets(MASK_METRICS),
        galleries=targets(GALLERY_PANELS),
        curves=curve_plots,
        histograms=targets(HISTOGRAMS),
        checks=targets(CHECK),
        image_lists=targets(IMAGE_LIST),
        thumbnails=targets(THUMBNAILS),
        layers=targets(LAYERS),
        class_evaluations=class_targets(CLASS_METRICS),
        confusions=confusion_plots,
        shots=shots_plots,
        support_thumbnails=support_thumbnails,
    output:
        page=PAGE,
        folder=directory(PAGE_FOLDER),
    log:
        f"{LOGS}/build_page.log",
    benchmark:
        f"{BENCHMARKS}/build_page.tsv"
    localrule: True
    conda:
        "../envs/zsad.yaml"
    threads: 1
    resources:
        mem_mb=memory("build_page"),
        runtime=duration("build_page"),
        gpu=0,
    params:
        cfg=page_config,
        code=code("build_page.py"),
    message:
        "Writing the page"
    script:
        "../workflow_scripts/build_page.py"


rule report:
    """The page and all its contents."""
    input:
        expand([PAGE, PAGE_FOLDER], dataset=settings.dataset),
        all_plots,
        targets([GALLERY_SHEET, GALLERY_PANELS, LAYERS, THUMBNAILS]),
    localrule: True
