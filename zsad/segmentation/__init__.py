"""Promptable segmentation models: an image is embedded once, and prompts are decoded from its embedding many times."""
