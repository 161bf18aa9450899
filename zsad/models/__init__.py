"""Networks: where their weights come from, how they are loaded, and what the families share."""
