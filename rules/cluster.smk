# Which steps go to a cluster's scheduler together, and where to; without one, nothing here matters.
#
# The steps of a category are submitted in three parts: `prepare` lists and checks the images, `detect` holds all that a
# network works on and what lies between, `measure` is the rest.
from zsad.workflow.snakemake_api import default_resources, name_to_be, submit_together
from zsad.workflow.submissions import check_folder_names, check_places

SITE = default_resources(workflow)  # what a profile says of the site, by name


def gpu_queue():
    """Where a profile wants the steps of `detect` when they have a GPU: its `on_gpu_NAME` stands in for NAME.

    All steps of a submission must agree in this, those without a GPU of their own too.
    """
    if not network_gpus():
        return {}
    prefix = "on_gpu_"
    return {name.removeprefix(prefix): value() for name, value in SITE.items() if name.startswith(prefix)}


def on_device(*, wants_gpu=True):
    """How and where the steps of `detect` compute: text that Snakemake wants to be the same for all of a submission.

    Those of a rule that want no GPU (`wants_gpu`) go to a queue without, where no others are submitted with them.
    """
    return {
        "device": settings.config["device"],
        "batch": settings.extraction.resource("batch"),
        "workers": settings.extraction.resource("workers"),
        "compiled": settings.extraction.resource("compile"),
        **(gpu_queue() if wants_gpu or not are_narrow() else {}),
    }


def are_narrow():
    """Whether a profile wants submissions of few rules: see profiles/dtu-hpc."""
    return "submissions" in SITE and SITE["submissions"]() == "narrow"


def generation(method):
    """How often the way to a method's scores has left the submissions of those that it is made from."""
    entry = settings.methods[method]
    leaves = bool(entry.members) if are_narrow() else bool(entry.refiner) and not prompts(entry.refiner)
    return int(leaves) + max((generation(member) for member in entry.members), default=0)


def submission(part, narrow, *, last=False):
    """The group of a step in a category: a part of the pipeline or, where the profile says so, a narrower one.

    What is made from masks that another submission makes stands in a later one, and so does what reads the results of
    all methods (`last`): no submission may wait for what waits for it. So do, in earlier ones, the steps on images that
    are learned from, whose categories may be called as those under test. Snakemake joins the steps of one where one
    reads what another made; the profiles have it join the others as well (`group-components: {category: ...}`).
    """
    name = narrow if are_narrow() else part

    def group(wildcards):
        methods = settings.methods if last else {wildcards.method} if "method" in wildcards.keys() else ()
        later = max(map(generation, methods), default=0)
        learned_from = "_auxiliary" if settings.is_auxiliary(wildcards.dataset) else ""
        identity = f"{MODULE and f'{MODULE}-'}{name}{later or ''}{learned_from}-{wildcards.category}"
        submit_together(workflow, identity, "category")
        return identity

    return group


if is_main_process(workflow) and are_narrow() and all(data.is_here for data in settings.data_sets):
    try:
        check_folder_names(settings, lambda name: name_to_be(workflow, name))
        check_places(Path.cwd(), ROOT)
    except ZsadError as error:
        raise in_module(error)
