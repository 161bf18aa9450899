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
    """Everything that a downloaded data set depends on; the addresses of its archives do not matter."""
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
    """An input function: files of a category by the name of a `Dataset` method, or the checksums of generated ones."""

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
    """Whether the images are in a folder of the user."""
    return not is_generated(wildcards)


def prepare_run(dataset):
    """At the start of a run, put tables aside that were changed by hand; Snakemake lists existing files later.

    It does so for all data sets at once, since Snakemake looks for files of one while it requests those of another; for
    a data set that is downloaded first, after the download.
    """
    for name in [*(data.name for data in settings.data_sets if data.is_here), dataset]:
        put_tables_aside(name)


@cache
def put_tables_aside(dataset):
    """Put changed tables of one data set aside."""
    if not is_main_process(workflow) or not makes_results(workflow):
        return
    if MODULE and not is_dry_run(workflow):  # another workflow has its own `onstart`
        check_writable(dataset, results=settings.results)
    folders = [settings.results / dataset / name for name in available(dataset).categories]
    changed = changed_tables(
        folders, {**DATA_TABLES, "splits/*.csv": read_split, "synthetic/*/made_from.csv": read_origins}
    )
    if changed and not is_dry_run(workflow):
        put_aside(changed)
    if changed:
        logger.warning(changed_text(changed))


# The files for the list of images, those for the manifest (masks), and those for the check (also tables).
image_files, image_stamp = follow(listed_files("image_files"), of_people=are_of_people)
truth_files, truth_stamp = follow(listed_files("truth_files"), of_people=are_of_people)
checked_files, checked_stamp = follow(listed_files("files"), of_people=are_of_people)
train_files, train_stamp = follow(listed_files("train_files"), of_people=are_of_people)


def listing(kind):
    """A parameter for the listing of a category's images: a digest, by the name of a method of `Dataset`.

    It represents the tables, one of which may contain the labels of all categories.
    """

    def digest(wildcards):
        if is_generated(wildcards):
            return ""
        return getattr(available(wildcards.dataset), kind)(wildcards.category)

    return digest


def demo_config(wildcards):
    """Everything that the demo images of a category depend on."""
    return as_parameter(settings.data_of(wildcards.dataset).demo_options.parameters())


def layout_config(wildcards):
    """Everything that a manifest depends on besides the files and their listing: the layout."""
    return as_parameter(settings.data_of(wildcards.dataset).stage_config())


def reading_config(wildcards):
    """Everything that the list of a category's images depends on besides the images: the layout, and the limits."""
    data = settings.data_of(wildcards.dataset)
    return as_parameter({**data.stage_config(), "bounds": settings.image_bounds(data.name).stage_config()})


def layout_code(script):
    """A parameter for the code behind a script that uses the layout of a data set."""

    def code_of_layout(wildcards):
        return code(script, LAYOUTS.entry(settings.data_of(wildcards.dataset).layout_name))

    return code_of_layout


def list_of_subset(wildcards):
    """The list of images that contains a subset.

    Results from training images do not depend on test images, so that training images have their own list;
    the same holds for the examples of a support and for synthetic images.
    """
    if synthetic_named(wildcards.subset):
        return SYNTHETIC_LIST.format(**{name: wildcards[name] for name in ("dataset", "category", "subset")})
    pattern = IMAGE_LIST if wildcards.subset == "test" else TRAINING_LIST
    if support := support_named(wildcards.subset):
        pattern = SUPPORT_LIST
    return pattern.format(dataset=wildcards.dataset, category=wildcards.category, support=support)


def list_of_references(wildcards):
    """The list of the references of synthetic images."""
    prepare_run(wildcards.dataset)
    return TRAINING_LIST.format(dataset=wildcards.dataset, category=wildcards.category)


def check_config(wildcards):
    """Everything that the check of a category depends on besides its images: the layout, and published facts."""
    data = settings.data_of(wildcards.dataset)
    facts = data.facts
    published = facts and {name: counts and counts.model_dump() for name, counts in facts.categories.items()}
    package = {"verified": facts.package.version} if facts and facts.package else {}
    return as_parameter({**data.stage_config(), "published": published, **package})


def section(wildcards, input):
    """The section of the configuration that defines a data set, for messages.

    Its change re-runs nothing, since Snakemake does not compare a parameter whose function takes the input.
    """
    return settings.data_of(wildcards.dataset).section
