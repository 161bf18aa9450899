"""Text towers: sentences as vectors in the space that a model's images share."""
