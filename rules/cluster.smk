# Which steps are submitted together to a cluster's scheduler, and to which queue; unused without a scheduler.
#
# The steps of a category are submitted in three groups: `prepare` lists and checks the images, `detect` contains all
# steps with a network and the steps between them, `measure` contains the rest.
from zsad.workflow.snakemake_api import default_resources, name_to_be, submit_together
from zsad.workflow.submissions import check_folder_names, check_places

SITE = default_resources(workflow)  # the site-specific settings of a profile, by name


def gpu_queue():
    """The queue settings of a profile for `detect` steps with a GPU: its `on_gpu_NAME` replaces NAME.

    All steps of a submission must have the same settings, including those that use no GPU.
    """
    if not network_gpus():
        return {}
    prefix = "on_gpu_"
    return {name.removeprefix(prefix): value() for name, value in SITE.items() if name.startswith(prefix)}


def on_device(*, wants_gpu=True):
    """How and where the steps of `detect` compute: text resources, which must be equal in a submission.

    Steps that need no GPU (`wants_gpu`) go to a queue without GPUs, if they are submitted alone.
    """
    return {
        "device": settings.config["device"],
        "batch": settings.extraction.resource("batch"),
        "workers": settings.extraction.resource("workers"),
        "compiled": settings.extraction.resource("compile"),
        **(gpu_queue() if wants_gpu or not are_narrow() else {}),
    }


def are_narrow():
    """Whether a profile limits submissions to few rules: see profiles/dtu-hpc."""
    return "submissions" in SITE and SITE["submissions"]() == "narrow"


def generation(method):
    """How many submissions must come before the one of a method's scores."""
    entry = settings.methods[method]
    leaves = bool(entry.members) if are_narrow() else bool(entry.refiner) and not prompts(entry.refiner)
    return int(leaves) + max((generation(member) for member in entry.members), default=0)


def submission(part, narrow, *, last=False):
    """The group of a step in a category: a stage of the pipeline or, if the profile sets it, a narrower one.

    Results made from masks of another submission are in a later submission, and so are results that read those of all
    methods (`last`): no submission may wait for one that waits for it. Steps on auxiliary images, whose categories may
    have the same names as those under test, are in earlier ones. Snakemake joins the steps of a group if one reads the
    result of another; the profiles make it join the others as well (`group-components: {category: ...}`).
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
