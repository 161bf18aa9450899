"""Promptable segmentation models: images are embedded once, and prompts decoded from the embeddings many times."""
