# What the rules of report.smk read and depend on.
from zsad.names import NO_REFINER
from zsad.workflow.measurable import OVERALL_PLOTS


def in_vector_formats(plot):
    """The files of a plot in the vector formats that are asked for, by their endings."""
    return {ending: f"{plot.removesuffix('.png')}.{ending}" for ending in settings.report.vector_formats}


def vector_plots(**plots):
    """The outputs of plots in vector formats, named as the plots and their endings."""
    return {
        f"{name}_{ending}": path
        for name, plot in plots.items()
        for ending, path in in_vector_formats(plot).items()
    }


def shown_masks(wildcards):
    """The masks that the gallery shows, if not the thresholded map itself."""
    if settings.report_refiner == NO_REFINER:
        return []
    return MASKS.format(refiner=settings.report_refiner, **wildcards)


def categories_with_curves():
    """The categories in which a ranking can be measured."""
    return [category for category in available().categories if settings.measurable.has_curves(category)]


def curve_plots(wildcards):
    """The plots of curves, for categories that have them."""
    return expand(CURVES, dataset=settings.dataset, category=categories_with_curves())


def categories_with_kinds():
    """The categories in which classifications can be evaluated."""
    return [category for category in available().categories if settings.measurable.has_kinds(category)]


def confusions():
    """Category and classifier of each confusion plot."""
    return [(category, name) for category in categories_with_kinds() for name in settings.classifiers]


def confusion_plots(wildcards):
    """The confusion plots of each classifier, for categories with labels."""
    names = {"dataset": settings.dataset}
    return [CONFUSION.format(category=category, classifier=name, **names) for category, name in confusions()]


def shots_plots(wildcards):
    """The plots of accuracy against the number of examples, for categories with labels."""
    return expand(SHOTS_PLOT, dataset=settings.dataset, category=categories_with_kinds())


def all_plots(wildcards):
    """Every plot, in all formats."""
    overall = [f"{PLOTS}/{plot}" for plot in settings.measurable.overall_plots]
    plots = [
        *expand(overall, dataset=settings.dataset),
        *curve_plots(wildcards),
        *targets(HISTOGRAMS)(wildcards),
        *confusion_plots(wildcards),
        *shots_plots(wildcards),
        *expand(list(sweep_plots().values()), dataset=settings.dataset),
    ]
    return [*plots, *(path for plot in plots for path in in_vector_formats(plot).values())]


def sweep_plots():
    """The plots of swept parameters, by the method that they are of."""
    return {method: f"{PLOTS}/{plot}" for method, plot in settings.measurable.sweep_plots.items()}


def shown_sweeps():
    """An output: the plots of swept parameters, for Snakemake's report too; nothing without a sweep."""
    shown = {
        method: report(
            plot, caption="report/sweep.rst", category="Plots", labels={"plot": f"sweep of {method}"}
        )
        for method, plot in sweep_plots().items()
    }
    vectors = [path for plot in sweep_plots().values() for path in in_vector_formats(plot).values()]
    outputs = {"sweeps": list(shown.values()), "sweep_vectors": vectors}
    return {name: paths for name, paths in outputs.items() if paths}


def summary_config():
    """All that the plots over all categories depend on besides the tables."""
    swept = [
        {"method": one.method, "columns": one.columns, "entries": list(one.entries.items())}
        for one in settings.swept
    ]
    return as_parameter({**settings.report.plotting(), **({"swept": swept} if sweep_plots() else {})})


def examples_beside():
    """Category and name of all supports."""
    return [(category, support) for support in settings.supports for category in available().categories]


def support_thumbnails(wildcards):
    """The thumbnails of all supports."""
    names = {"dataset": settings.dataset}
    return [
        SUPPORT_THUMBNAILS.format(category=category, support=support, **names)
        for category, support in examples_beside()
    ]


def page_config(wildcards):
    """Everything that the page depends on besides the results: the configuration that it shows."""
    return as_parameter(
        {
            "categories": available().categories,
            "with_curves": categories_with_curves(),
            "with_kinds": categories_with_kinds(),
            "confusions": confusions(),
            "supports": examples_beside(),
            **({"swept": list(sweep_plots())} if sweep_plots() else {}),
            "configuration": settings.resolved(),
            "root": settings.data.folder_of_tables,
            "methods": {
                name: {
                    **entry.description,
                    "threshold": settings.threshold_in_words(name),
                    "entry": "" if entry.members else entry.group or name,
                }
                for name, entry in settings.methods.items()
            },
        }
    )
