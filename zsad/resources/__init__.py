"""What every job of the workflow takes: memory, seconds and threads, as functions of what it works on.

They are known before a job's inputs exist, because the steps of a category may be submitted together: from the
list of images where there is one, else from the layout's listing and the headers of a few images. Estimates are checked
against the benchmarks of a run in ``tests/workflow/test_resources.py``; ``benchmarks/resources.py`` does so for any.
"""
