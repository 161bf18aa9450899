"""What belongs to the workflow: its configuration, jobs, code trace and software."""
