"""Decisions: threshold rules that need no labels, one file for each rule, and the stage that applies them."""
