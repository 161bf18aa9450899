# What the rules of evaluation.smk read, make and depend on.


def draws_beside(pattern):
    """The output of the bootstrap replicates, which exist if a test image has a label."""
    return {"draws": pattern} if settings.measurable.is_labelled else {}


def saturation_tables(wildcards):
    """The table of saturation areas, if the data set has one."""
    table = available().saturation(wildcards.category)
    return [] if table is None else [table.as_posix()]


saturation_table, saturation_stamp = follow(saturation_tables)


def evaluation_config(wildcards):
    """Everything that metrics depend on besides the scores, and the names in the tables."""
    return as_parameter(
        {
            "backbone": settings.methods[wildcards.method].backbone,
            "group": settings.methods[wildcards.method].group,
            "options": settings.evaluation.parameters(),
            "saturation": next(iter(saturation_tables(wildcards)), None),
        }
    )


def oracle_config(wildcards):
    """Everything that the upper bound of a segmentation model depends on besides embeddings and ground truth."""
    segmenter = settings.segmenters[wildcards.segmenter].stage_config()
    return as_parameter({"segmenter": segmenter, "options": settings.evaluation.parameters()})


def oracle_code(wildcards):
    """The code behind the upper bound of a segmentation model."""
    return segmenter_code("evaluate_oracle.py", wildcards.segmenter)


SHOWN_TABLES = {
    "metrics_csv": "all metrics",
    "defect_types_csv": "defect types",
    "images_csv": "all images",
    "decisions_csv": "decisions",
    "refinement_csv": "refinement",
    "comparisons_csv": "comparisons",
    "against_csv": "our figures and published ones",
}


def measured_targets(pattern, **names):
    """An input function: the files of a pattern that need labels; empty if no test image has a label."""
    return targets(pattern, **names) if settings.measurable.is_labelled else []


def oracle_targets(pattern):
    """The upper bounds of the categories that have ground-truth masks."""

    def files(wildcards):
        data = available()
        categories = [category for category in data.categories if settings.measurable.has_masks(category)]
        return expand(
            pattern, dataset=settings.dataset, category=categories, segmenter=settings.oracle_segmenters
        )

    return files


def collected_tables():
    """The tables with contents; those in CSV also for Snakemake's report."""
    made = {name: f"{TABLES}/{file}" for name, file in settings.measurable.tables.items()}
    shown = {
        name: report(
            made[name],
            caption=f"report/{name.removesuffix('_csv')}.rst",
            category="Tables",
            labels={"table": title},
        )
        for name, title in SHOWN_TABLES.items()
        if name in made
    }
    return made | shown


def tables_config(wildcards):
    """Everything that the tables depend on besides the results: which categories are textures, published figures."""
    data = available()
    unmade = [
        (settings.results / settings.dataset / path).as_posix() for path in settings.measurable.unmade()
    ]
    asked = {
        "to_meet": settings.to_meet(),
        "all_categories": settings.published_categories,
    }
    return as_parameter(
        {
            "textures": data.textures,
            "published": settings.data.published,
            "unmade": unmade,
            **(asked if asked["to_meet"] else {}),
            **({"swept": list(settings.swept_columns.items())} if settings.swept else {}),
        }
    )
