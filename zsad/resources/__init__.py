"""Resource estimates of every job of the workflow: memory, seconds and threads, by its inputs.

They are known before a job's inputs exist, because the steps of a category may be submitted together: from the list of
images if it exists, else from the layout's listing and the headers of a few images.
``tests/workflow/test_resources.py`` checks estimates against the benchmarks of a run; ``benchmarks/resources.py`` does
so for any run.
"""
