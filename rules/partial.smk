# What is done before the first job: the places to write to are looked at. What is done after the last job: the images that were left out are named, and where something failed, tables of what
# there is are written, which say what is missing.
import atexit

from zsad.errors import ZsadError
from zsad.data.readings import skipped_text
from zsad.workflow.partial import forget_what_was_missing, tell_what_is_missing

# In place of `onsuccess`, which Snakemake leaves out where there was nothing to do.
if workflow.is_main_process:
    atexit.register(forget_what_was_missing, workflow)


def tell_what_was_skipped():
    """Say how many images were left out, and where it stands why."""
    try:
        place = {"dataset": settings.dataset}
        lists = {name: Path(UNREADABLE.format(category=name, **place)) for name in settings.categories}
        said = skipped_text(lists)
    except (ZsadError, OSError):  # at the end of a run, whose own outcome counts
        return
    if said:
        print(f"zsad: {said}", flush=True)


onstart:
    check_writable(settings.dataset)


onsuccess:
    tell_what_was_skipped()


onerror:
    tell_what_is_missing(workflow, settings)
    tell_what_was_skipped()
