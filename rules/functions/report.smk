# What the rules of report.smk read and depend on.
from zsad.names import NO_REFINER


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
