"""What a person at the terminal sees of a run: how far its jobs are, and in one sentence why one of them failed."""
