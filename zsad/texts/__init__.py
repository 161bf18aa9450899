"""What is asked in words: names of parts, sets of prompts, and prompts that others have trained."""
