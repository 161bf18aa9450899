"""The terminal output of a run: the progress of its jobs, and one sentence on why a job failed."""
