# What the rules of unseen.smk read and depend on.


def auxiliary_lists(wildcards):
    """The lists of all images that a method is trained on; empty for a method with given weights."""
    if not settings.methods[wildcards.method].is_trained:
        return []
    return auxiliary_targets(IMAGE_LIST)(wildcards)


def learning_config(wildcards):
    """The data set of a method's training, now or earlier."""
    entry = settings.methods[wildcards.method]
    weights = None if entry.is_trained else entry.learned_files["weights"]
    return as_parameter({"trained_on": entry.trained_on, "weights": weights})
