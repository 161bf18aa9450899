"""Text towers: sentences as vectors in the space of a model's images."""
