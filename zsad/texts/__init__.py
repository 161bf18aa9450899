"""Text prompts: object names, prompt sets, and learned prompts."""
