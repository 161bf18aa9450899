# What the rules of decisions.smk read and depend on.
from zsad.deciding.registry import THRESHOLDS


def deciding_files(wildcards):
    """The inputs besides the scores: the model with the scores of the references, if the method has one."""
    has_model = bool(settings.methods[wildcards.method].fitted_roles)
    return {"model": MODELS.format(**wildcards)} if has_model else {}


def deciding_config(wildcards):
    """Everything that decisions depend on besides the scores: the threshold rule and its parameters."""
    return as_parameter(settings.methods[wildcards.method].deciding)


def deciding_code(wildcards):
    """The code behind the decisions by one method's threshold rule."""
    return code("decide_images.py", THRESHOLDS.entry(settings.methods[wildcards.method].deciding["rule"]))


def beside_scores(wildcards):
    """The submission in which the scores of a method are made."""
    entry = settings.methods[wildcards.method]
    made_by = "modulate_scores" if entry.refiner else "fuse_scores" if entry.members else "score_images"
    return submission("detect", made_by)(wildcards)


def on_device_of_scores():
    """How and where that submission computes: a queue for networks only if it runs networks."""
    of_networks, of_readers = on_device(), on_device(wants_gpu=False)

    def queue(name):
        def of_method(wildcards):
            if not settings.methods[wildcards.method].members:
                return of_networks[name]
            return SITE[name]() if name in SITE else ""

        return of_method

    return {**of_readers, **{name: queue(name) for name in of_networks.keys() - of_readers.keys()}}
