"""Convolutional networks behind the interface of every backbone: what they share, and a module for each."""
