# What the rules of exports.smk read and depend on.
from zsad.exporting.registry import FORMATS


def exported_masks(wildcards):
    """The masks that are exported, if not the thresholded map itself."""
    if settings.exports.refiner == NO_REFINER:
        return []
    return MASKS.format(refiner=settings.exports.refiner, **wildcards)


def export_config(wildcards):
    """Everything that an export depends on besides the images, scores and masks."""
    return as_parameter(
        {
            "formats": settings.exports.formats,
            "refiner": settings.exports.refiner,
            "colormap": settings.report.colormap,
        }
    )


def export_code(wildcards):
    """The code behind an export in the configured formats."""
    return code("export_results.py", *map(FORMATS.entry, settings.exports.formats))
