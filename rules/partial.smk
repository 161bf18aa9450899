# Before the first job: check that the folders are writable. After the last job: report the images that were left out,
# print our figures beside the published ones, and after a failure write partial tables that list the missing results.
# For a module, only the last is left to the other workflow: `onerror: NAME.onerror()`.
import atexit

from zsad.data.readings import skipped_text
from zsad.workflow.partial import (
    OF_CLASSIFIERS,
    OF_METHODS,
    remove_partial_tables,
    report_missing_results,
)
from zsad.workflow.published import describe_against_published
from zsad.workflow.snakemake_api import name_in_use

# The rules that collect tables, by their names in this run, with what they collect.
collecting = {
    name: tables
    for tables in (OF_METHODS, *([OF_CLASSIFIERS] if settings.classifiers else []))
    if (name := name_in_use(workflow, tables.rule))
}

# Instead of `onsuccess`, which Snakemake skips if there was nothing to do.
if is_main_process(workflow):
    for name, tables in collecting.items():
        atexit.register(remove_partial_tables, workflow, name, tables)


def report_skipped_images():
    """Print how many images were left out, and where the reasons are."""
    try:
        lists = {
            name if data is settings.data else f"{data.name}/{name}": placed(
                UNREADABLE.format(dataset=data.name, category=name)
            )
            for data in settings.data_sets
            for name in data.categories
        }
        said = skipped_text(lists)
    except (ZsadError, OSError):  # must not change the outcome of the run
        return
    if said:
        print(f"zsad: {said}", flush=True)


def report_comparison_with_published():
    """Print our figures beside the published ones that the methods are compared with."""
    file = settings.measurable.tables.get("against_csv")
    path = file and placed(f"{TABLES}/{file}".format(dataset=settings.dataset))
    if not path or not path.is_file():
        return
    try:
        said = describe_against_published(path)
    except (ZsadError, OSError):  # must not change the outcome of the run
        return
    if said:
        print(f"zsad: {said}", flush=True)


onstart:
    for data in settings.data_sets:
        check_writable(data.name, results=settings.results)


onsuccess:
    report_skipped_images()
    report_comparison_with_published()


onerror:
    report_missing_results(workflow, settings, collecting)
    report_skipped_images()
