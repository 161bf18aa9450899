# What is done before the first job: the places to write to are looked at. What is done after the last job: the images
# that were left out are named, ours are printed beside the published figures that were to be met, and where something
# failed, tables of what there is are written, which say what is missing. Of a module only the last is left to the other
# workflow: `onerror: NAME.onerror()`.
import atexit

from zsad.data.readings import skipped_text
from zsad.workflow.partial import (
    OF_CLASSIFIERS,
    OF_METHODS,
    forget_what_was_missing,
    tell_what_is_missing,
)
from zsad.workflow.published import told_against_published
from zsad.workflow.snakemake_api import name_in_use

# The rules that collect tables, by their names in this run, with what they collect.
collecting = {
    name: tables
    for tables in (OF_METHODS, *([OF_CLASSIFIERS] if settings.classifiers else []))
    if (name := name_in_use(workflow, tables.rule))
}

# In place of `onsuccess`, which Snakemake leaves out where there was nothing to do.
if is_main_process(workflow):
    for name, tables in collecting.items():
        atexit.register(forget_what_was_missing, workflow, name, tables)


def tell_what_was_skipped():
    """Say how many images were left out, and where it stands why."""
    try:
        lists = {
            name if data is settings.data else f"{data.name}/{name}": placed(
                UNREADABLE.format(dataset=data.name, category=name)
            )
            for data in settings.data_sets
            for name in data.categories
        }
        said = skipped_text(lists)
    except (ZsadError, OSError):  # at the end of a run, whose own outcome counts
        return
    if said:
        print(f"zsad: {said}", flush=True)


def tell_what_was_met():
    """Print ours beside the published figures that the methods were to meet."""
    file = settings.measurable.tables.get("against_csv")
    path = file and placed(f"{TABLES}/{file}".format(dataset=settings.dataset))
    if not path or not path.is_file():
        return
    try:
        said = told_against_published(path)
    except (ZsadError, OSError):  # at the end of a run, whose own outcome counts
        return
    if said:
        print(f"zsad: {said}", flush=True)


onstart:
    for data in settings.data_sets:
        check_writable(data.name, results=settings.results)


onsuccess:
    tell_what_was_skipped()
    tell_what_was_met()


onerror:
    tell_what_is_missing(workflow, settings, collecting)
    tell_what_was_skipped()
