"""Which kind of defect an image shows, learnt from a few labelled examples of each kind, and when that is not known."""
