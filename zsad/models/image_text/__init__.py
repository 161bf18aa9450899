"""The vision side of models of images and texts: whole images, windows and patches in the space of sentences."""
