"""The workflow side: configuration, jobs, code trace and software."""
