# What is done after the last job: where something failed, tables of what there is, which say what is missing.
import atexit

from zsad.partial import forget_what_was_missing, tell_what_is_missing

# In place of `onsuccess`, which Snakemake leaves out where there was nothing to do.
if workflow.is_main_process:
    atexit.register(forget_what_was_missing, workflow)


onerror:
    tell_what_is_missing(workflow, settings)
