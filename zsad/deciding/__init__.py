"""What is called defective: thresholds set without labels, one file a rule, and the stage that applies them."""
