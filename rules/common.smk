# Shared by all rules: the validated configuration, the patterns of file names, and the dependencies of stages.
#
# Other workflows use this one as a module, with other rule names, in other folders, and several times in one run, so this
# file depends on ROOT, MODULE and `settings.results`, and changes nothing of theirs.
import os
import re
from functools import cache

from zsad.watching.failures import tell_failures_in_sentences

tell_failures_in_sentences(ROOT, of_all=not MODULE)  # before the other modules, in case a package is missing

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

from zsad.workflow.codetrace import code_hashes, import_package_from
from zsad.workflow.emulated import emulation_sentences
from zsad.workflow.settings import Settings
from zsad.workflow.configfiles import read_configuration
from zsad.data.catalogue import datasets
from zsad.data.dataset import DOWNLOADS
from zsad.data.layouts.base import TAKEN
from zsad.data.subsets import SUBSETS, VIEWS
from zsad.errors import ZsadError
from zsad.files.json_values import canonical_json
from zsad.segmentation.registry import SEGMENTERS
from zsad.workflow.software import check_image, device_environment, image_address, image_environment
from zsad.workflow.snakemake_api import (
    is_dry_run,
    is_main_process,
    kept,
    results_folder,
    start_scripts_by,
    uses_conda,
    uses_image,
)
from zsad.workflow.variables import (
    check_library,
    check_section,
    set_shared_folder,
    set_left_out,
    read_left_out,
)
from zsad.files.tracked import literal, stamp
from zsad.watching.watch import watch_run
from zsad.workflow.warm import WarmStart, is_wanted
from zsad.workflow.workplace import check_folders


def in_module(error):
    """An error as Snakemake shows it, with the name of the module if this workflow is one."""
    shown = WorkflowError(f"module '{MODULE}': {error}" if MODULE else str(error))
    shown.__cause__ = ZsadError(str(shown)) if MODULE else error
    return shown


container_image = None  # unused without --sdm apptainer

try:
    # The code of the library beside this Snakefile is tracked, so it must be the one that runs.
    if MODULE:
        check_library(ROOT)
        check_section(config)
    import_package_from(ROOT)
    results = results_folder(workflow)
    if is_main_process(workflow):
        files = None if MODULE else [read_configuration(Path(path)) for path in workflow.configfiles]
        settings = Settings(config, files=files, results=results)
        for sentence in [*settings.left_out_sentences(), *emulation_sentences(settings)]:
            logger.warning(sentence)
        set_left_out(MODULE, settings.left_out)
    else:
        settings = Settings(config, left_out=read_left_out(MODULE), results=results)
    if uses_image(workflow):
        container_image = image_address(settings.config["container"], ROOT)
    if is_main_process(workflow):
        for data in settings.data_sets:
            check_folders(data.name, results=results)
        settings.check_models()
        for data in settings.data_sets:
            data.list_files()
        if container_image:
            check_image(container_image, environments_too=uses_conda(workflow))
    set_shared_folder(MODULE, settings.sharing, kept(workflow, "shared folders"))
    if container_image:
        os.environ.update(image_environment(settings, ROOT))
except ZsadError as error:
    raise in_module(error)

# Only for the terminal of the run itself, not of its jobs, nor of another workflow.
if is_main_process(workflow) and not MODULE:
    watch_run(dry_run=is_dry_run(workflow))

if is_main_process(workflow) and is_wanted():
    start_scripts_by(WarmStart(ROOT / "workflow_scripts").start, workflow)

# Snakemake puts the prefix of a module before the paths of rules, and before what functions give as inputs.
CATEGORY = "results/{dataset}/{category}"
TABLES = "results/{dataset}/tables"
PLOTS = "results/{dataset}/plots"
LOGS = "results/{dataset}/logs"
BENCHMARKS = "results/{dataset}/benchmarks"
# For rules whose outputs have no data set in their paths.
OWN_LOGS = LOGS.replace("{dataset}", settings.dataset)
OWN_BENCHMARKS = BENCHMARKS.replace("{dataset}", settings.dataset)

# If nothing is downloaded, no path contains the folder of downloads.
downloaded = {data.layout_name: data for data in settings.data_sets if data.is_downloaded}
downloads = next((data.download_to for data in downloaded.values()), DOWNLOADS)
PUBLISHED = list(downloaded) if MODULE else datasets()  # a module does not download data sets of others
DOWNLOAD = local(f"{downloads.as_posix()}/{{published}}.json")
DEMO_SUMS = "results/data/{dataset}/{category}.sha256"
IMAGE_LIST = f"{CATEGORY}/images.csv"
TRAINING_LIST = f"{CATEGORY}/training.csv"
MANIFEST = f"{CATEGORY}/manifest.csv"
UNREADABLE = f"{CATEGORY}/unreadable.csv"
CHECK = f"{CATEGORY}/check.json"
FEATURES = f"{CATEGORY}/features/{{backbone}}/{{subset}}.{{view}}.h5"
TEXTS = f"{CATEGORY}/texts/{{backbone}}.{{prompts}}.h5"
EMBEDDINGS = f"{CATEGORY}/embeddings/{{segmenter}}/{{subset}}.h5"
FOREGROUNDS = f"{CATEGORY}/foregrounds/{{segmenter}}/{{subset}}.h5"
MODELS = f"{CATEGORY}/models/{{method}}.h5"
SCORES = f"{CATEGORY}/scores/{{method}}.h5"
DECISIONS = f"{CATEGORY}/decisions/{{method}}.h5"
CROPS = f"{CATEGORY}/crops/{{method}}.{{refiner}}.h5"
MASKS = f"{CATEGORY}/masks/{{method}}.{{refiner}}.h5"
SCORE_METRICS = f"{CATEGORY}/metrics/{{method}}.json"
MASK_METRICS = f"{CATEGORY}/metrics/{{method}}.{{refiner}}.json"
ORACLE_METRICS = f"{CATEGORY}/metrics/oracle/{{segmenter}}.json"
SCORE_DRAWS = f"{CATEGORY}/draws/{{method}}.h5"
MASK_DRAWS = f"{CATEGORY}/draws/{{method}}.{{refiner}}.h5"
ORACLE_DRAWS = f"{CATEGORY}/draws/oracle/{{segmenter}}.h5"
GALLERY_SHEET = f"{PLOTS}/{{category}}/{{method}}.gallery.png"
GALLERY_PANELS = f"{PLOTS}/{{category}}/{{method}}.gallery.json"
LAYERS = f"{CATEGORY}/layers/{{method}}.h5"
THUMBNAILS = f"{CATEGORY}/thumbnails.h5"
TABLE_SUMS = f"{TABLES}/tables.sha256"
COST_SUMS = f"{TABLES}/cost.sha256"
CURVES = f"{PLOTS}/{{category}}/curves.png"
HISTOGRAMS = f"{PLOTS}/{{category}}/histograms.png"
EXPORTS = f"{CATEGORY}/exports/{{method}}"
SUPPORT_LIST = f"{CATEGORY}/labelled/{{support}}.csv"
SUPPORT_KINDS = f"{CATEGORY}/labelled/{{support}}.kinds.csv"
SUPPORT_SCORES = f"{CATEGORY}/labelled/{{support}}.{{method}}.h5"
SUPPORT_THUMBNAILS = f"{CATEGORY}/labelled/{{support}}.thumbnails.h5"
SPLITS = f"{CATEGORY}/splits/{{classifier}}.csv"
TRUE_MASKS = f"{CATEGORY}/masks/truth.h5"
CLASSIFIED = f"{CATEGORY}/classification/{{classifier}}.h5"
CLASS_METRICS = f"{CATEGORY}/metrics/classification/{{classifier}}.json"
CLASS_TABLE_SUMS = f"{TABLES}/classification.sha256"
CONFUSION = f"{PLOTS}/{{category}}/{{classifier}}.confusion.png"
SHOTS_PLOT = f"{PLOTS}/{{category}}/shots.png"
SYNTHETIC_FOLDER = f"{CATEGORY}/synthetic/{{subset}}"
SYNTHETIC_LIST = f"{SYNTHETIC_FOLDER}/images.csv"
SYNTHETIC_MANIFEST = f"{SYNTHETIC_FOLDER}/manifest.csv"
SYNTHETIC_ORIGINS = f"{SYNTHETIC_FOLDER}/made_from.csv"
SYNTHETIC_SHEET = f"{SYNTHETIC_FOLDER}/sheet.png"
UNSEEN = f"{CATEGORY}/unseen/{{method}}.json"
TRAINED = "results/{dataset}/trained/{method}.safetensors"
PAGE = "results/{dataset}/report.html"
PAGE_FOLDER = "results/{dataset}/report"


def one_of(names):
    """The pattern that matches only the given names, which may be patterns themselves."""
    return "|".join(names) or "(?!)"


# The data sets whose images are read: the one under test, and the auxiliary one if there is any.
EITHER = one_of([data.name for data in settings.data_sets])


wildcard_constraints:
    published=one_of(PUBLISHED),
    dataset=one_of([settings.dataset]),
    category=rf"(?!(?:{'|'.join(map(re.escape, TAKEN))})/)[^/]+",
    backbone=r"[A-Za-z0-9_-]+",
    subset=SUBSETS,
    view="|".join(VIEWS),
    prompts=r"[A-Za-z0-9_-]+",
    segmenter=r"[A-Za-z0-9_-]+",
    method=r"[A-Za-z0-9_-]+",
    refiner=r"[A-Za-z0-9_-]+",
    support=one_of(settings.supports),
    classifier=one_of(settings.classifiers),


def placed(path):
    """The path of a result, for functions: Snakemake only changes the paths in rules."""
    return settings.results / Path(path).relative_to("results")


def available(dataset=settings.dataset):
    """A data set whose images are on this machine: an earlier call makes Snakemake call the input function again."""
    data = settings.data_of(dataset)
    if data.is_downloaded and hasattr(checkpoints, "download_dataset"):  # another workflow may leave it out
        checkpoints.download_dataset.get(published=data.layout_name)
    return data


def targets(pattern, **names):
    """An input function: all files of a pattern in the configuration."""

    def files(wildcards):
        every = {
            "dataset": wildcards.get("dataset", settings.dataset),
            "category": available().categories,
            "method": settings.methods,
            "refiner": settings.refiners,
            "support": settings.supports,
            "classifier": settings.classifiers,
        }
        return expand(pattern, **{**every, **names})

    return files


def auxiliary_targets(pattern, **names):
    """An input function: all files of a pattern of the auxiliary data set; empty without one."""

    def files(wildcards):
        if settings.auxiliary is None:
            return []
        name = settings.auxiliary.name
        return expand(pattern, dataset=name, category=available(name).categories, **names)

    return files


def checked_images(wildcards):
    """The checks of all images, of the data set under test and the auxiliary one."""
    return [*targets(CHECK)(wildcards), *auxiliary_targets(CHECK)(wildcards)]


def once_downloaded(pattern):
    """An input function: one file, which is requested only after the categories are known.

    Snakemake evaluates the parameters of a job again after a checkpoint only if its inputs depend on it, too.
    """

    def file(wildcards):
        available(wildcards.dataset)
        return pattern.format(**wildcards)

    return file


def made_table(name):
    """A table by its name in zsad/workflow/measurable.py; empty if it would have no figures."""
    tables = settings.measurable.tables
    return f"{TABLES}/{tables[name]}" if name in tables else []


def as_parameter(value):
    """One parameter for everything that a stage depends on, as canonical text.

    Snakemake compares the values of `params` as a set without names: swapped numbers or one flipped boolean of several
    would not be detected. A brace in a text of the configuration is escaped for JSON, since it is no wildcard.
    """
    return re.sub(r"\{(?=\s*\w)", r"\\u007b", canonical_json(value))


def environment():
    """The conda environment of a rule that computes on the device; see zsad/workflow/software.py."""
    return f"../{device_environment(settings.config['device'])}"


@cache
def code(script, *entries):
    """The content of the code behind a rule, as one parameter; see zsad/workflow/codetrace.py."""
    return as_parameter(code_hashes(ROOT, f"workflow_scripts/{script}", entries))


def follow(files, *, of_people=lambda wildcards: True):
    """Track files named by the user: as inputs if possible, else by a stamp as a parameter.

    Args:
        files: an input function that returns their paths.
        of_people: whether the paths are outside of the results, so that a module's prefix must not change them.

    Returns:
        An input function, and a parameter function; a rule needs both. See zsad/files/tracked.py.
    """

    def inputs(wildcards):
        return [local(path) if of_people(wildcards) else path for path in literal(files(wildcards))]

    return inputs, lambda wildcards: stamp(files(wildcards))


def asked_methods(wildcards, input):
    """The image requirements of the methods: checked wherever this saves work, but no reason to run again.

    Snakemake does not compare a parameter whose function takes the input.
    """
    return as_parameter(settings.suitability(wildcards.dataset).stage_config())


def scoring_config(wildcards):
    """Everything that scores depend on besides the features."""
    return as_parameter(settings.methods[wildcards.method].stage_config())


def texts_of(wildcards, *, of_fit):
    """The file of texts for a method's model, or for its scoring; empty for most methods."""
    entry = settings.methods[wildcards.method]
    if entry.texts is None or entry.fits_texts != of_fit:
        return {}
    names = {"backbone": settings.text_backbone(entry.name), "prompts": entry.texts.name}
    return {"texts": TEXTS.format(dataset=wildcards.dataset, category=wildcards.category, **names)}


def files_of_others(wildcards):
    """The weights files trained elsewhere that a method reads for scoring; empty for most methods."""
    return list(settings.methods[wildcards.method].learned_files.values())


learned_files, learned_stamp = follow(files_of_others)


def learned_of(wildcards, *, of_fit):
    """The weights that a method has learned from the auxiliary data set, for the step that applies them.

    That step is the fit, if there is one; then its model represents the weights. Training images must not be scored;
    a model depends on no test image, so that a changed list of these is no reason to fit it again.
    """
    entry = settings.methods[wildcards.method]
    applies = of_fit == bool(entry.fitted_roles)
    names = {"dataset": wildcards.dataset, "method": wildcards.method}
    trained = {"trained": TRAINED.format(**names)} if applies and entry.is_trained else {}
    return trained if of_fit else trained | unseen_of(wildcards)


def unseen_of(wildcards):
    """The check that a method has learned from no image of the category, if it learns from other data sets."""
    learns = settings.methods[wildcards.method].learns_elsewhere
    return {"unseen": UNSEEN.format(**wildcards)} if learns else {}


def member_scores(wildcards):
    """The score files that a method reads, in its order."""
    return [
        SCORES.format(dataset=wildcards.dataset, category=wildcards.category, method=member)
        for member in settings.methods[wildcards.method].members
    ]


def member_decisions(wildcards):
    """The decisions of the one method whose scores a modulation reads."""
    (member,) = settings.methods[wildcards.method].members
    return DECISIONS.format(dataset=wildcards.dataset, category=wildcards.category, method=member)


def segmentation_files(wildcards):
    """The files of a local segmentation model; empty for a published one."""
    return settings.segmenters[wildcards.segmenter].local_files()


segmenter_files, segmenter_stamp = follow(segmentation_files)


def segmenter_code(script, name, *entries):
    """The code behind a script that runs a segmentation model."""
    return code(script, SEGMENTERS.entry(settings.segmenters[name].family), *entries)


def prompts(refiner):
    """Whether a refiner prompts a segmentation model."""
    return bool(settings.refiners[refiner].segmenter)
