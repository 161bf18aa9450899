# What the rules of data.smk read and depend on.
from functools import cache

from zsad.adaptation.origins import read_origins
from zsad.classification.splits import read_split
from zsad.data.changed import TABLES as DATA_TABLES
from zsad.data.changed import changed_tables, changed_text, put_aside
from zsad.data.layouts.registry import LAYOUTS
from zsad.data.subsets import SYNTHETIC, support_named, synthetic_named
from zsad.workflow.snakemake_api import makes_results, prefer_in_order
from zsad.workflow.workplace import check_writable


def download_config(wildcards):
    """All that a downloaded data set depends on; where its archives lie matters as little as how fast they come."""
    archives = datasets()[wildcards.published].archives
    return as_parameter(
        {
            "dataset": wildcards.published,
            "download_to": downloaded.get(wildcards.published, settings.data).download_to.as_posix(),
            "archives": [
                archive.model_dump(include={"file", "sha256", "size", "into"}) for archive in archives
            ],
        }
    )


def listed_files(kind):
    """An input function: files of a category by the name of a method of `Dataset`, or the checksums of generated ones."""

    def files(wildcards):
        prepare_run(wildcards.dataset)
        if is_generated(wildcards):
            return [DEMO_SUMS.format(**wildcards)]
        return getattr(available(wildcards.dataset), kind)(wildcards.category)

    return files


def is_generated(wildcards):
    """Whether the images are made by the run."""
    return settings.data_of(wildcards.dataset).is_demo


def are_of_people(wildcards):
    """Whether they lie where somebody has put them."""
    return not is_generated(wildcards)


def prepare_run(dataset):
    """When a run begins, put tables aside that were changed by hand; Snakemake looks later which files there are.

    Those of all data sets at once, as it looks for files of one while it asks for those of another; but of one that is
    downloaded first, when that is here.
    """
    for name in [*(data.name for data in settings.data_sets if data.is_here), dataset]:
        put_tables_aside(name)


@cache
def put_tables_aside(dataset):
    """The same for one data set."""
    if not is_main_process(workflow) or not makes_results(workflow):
        return
    if MODULE and not is_dry_run(workflow):  # of another workflow, whose `onstart` is its own
        check_writable(dataset, results=settings.results)
    folders = [settings.results / dataset / name for name in available(dataset).categories]
    changed = changed_tables(
        folders, {**DATA_TABLES, "splits/*.csv": read_split, "synthetic/*/made_from.csv": read_origins}
    )
    if changed and not is_dry_run(workflow):
        put_aside(changed)
    if changed:
        logger.warning(changed_text(changed))


# What the list of images is made from, what the manifest is made from besides: masks, and what is checked: tables too.
image_files, image_stamp = follow(listed_files("image_files"), of_people=are_of_people)
truth_files, truth_stamp = follow(listed_files("truth_files"), of_people=are_of_people)
checked_files, checked_stamp = follow(listed_files("files"), of_people=are_of_people)
train_files, train_stamp = follow(listed_files("train_files"), of_people=are_of_people)


def listing(kind):
    """A parameter for what places and tables say of a category's images: a digest, by the name of a method of `Dataset`.

    It stands for the tables, of which one may hold the labels of all categories.
    """

    def digest(wildcards):
        if is_generated(wildcards):
            return ""
        return getattr(available(wildcards.dataset), kind)(wildcards.category)

    return digest


def demo_config(wildcards):
    """All that the demo images of a category depend on."""
    return as_parameter(settings.data_of(wildcards.dataset).demo_options.parameters())


def layout_config(wildcards):
    """All that a manifest depends on besides the files and what their places and tables say: the layout."""
    return as_parameter(settings.data_of(wildcards.dataset).stage_config())


def reading_config(wildcards):
    """All that the list of a category's images depends on besides the images: the layout, and what they are held to."""
    data = settings.data_of(wildcards.dataset)
    return as_parameter({**data.stage_config(), "bounds": settings.image_bounds(data.name).stage_config()})


def layout_code(script):
    """A parameter for the code behind a script that asks the layout of a data set."""

    def code_of_layout(wildcards):
        return code(script, LAYOUTS.entry(settings.data_of(wildcards.dataset).layout_name))

    return code_of_layout


def list_of_subset(wildcards):
    """The list that a subset is looked up in.

    What is computed from training images is no older for a change of a test image, so they have a list of their own;
    and so have the examples of a support, and images that are made for training.
    """
    if synthetic_named(wildcards.subset):
        return SYNTHETIC_LIST.format(**{name: wildcards[name] for name in ("dataset", "category", "subset")})
    pattern = IMAGE_LIST if wildcards.subset == "test" else TRAINING_LIST
    if support := support_named(wildcards.subset):
        pattern = SUPPORT_LIST
    return pattern.format(dataset=wildcards.dataset, category=wildcards.category, support=support)


def list_of_references(wildcards):
    """The list of the images that others are made from for training."""
    prepare_run(wildcards.dataset)
    return TRAINING_LIST.format(dataset=wildcards.dataset, category=wildcards.category)


def check_config(wildcards):
    """All that the check of a category depends on besides its images: the layout, and what has been published."""
    data = settings.data_of(wildcards.dataset)
    facts = data.facts
    published = facts and {name: counts and counts.model_dump() for name, counts in facts.categories.items()}
    package = {"verified": facts.package.version} if facts and facts.package else {}
    return as_parameter({**data.stage_config(), "published": published, **package})


def section(wildcards, input):
    """The section of the configuration that a data set stands in, for messages.

    Nothing is made anew for it, as Snakemake does not compare a parameter whose function is given the input.
    """
    return settings.data_of(wildcards.dataset).section
