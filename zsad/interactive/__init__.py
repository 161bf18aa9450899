"""What a notebook or a script of a user's own asks for first; ``zsad`` offers it by name."""
