"""Classification of defect types from a few labelled examples of each kind, with abstention."""
