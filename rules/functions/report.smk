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
    """The plots of curves, of the categories that have any."""
    return expand(CURVES, dataset=settings.dataset, category=categories_with_curves())


def page_config(wildcards):
    """All that the page depends on besides the results: the configuration that it shows."""
    return as_parameter(
        {
            "categories": available().categories,
            "with_curves": categories_with_curves(),
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
