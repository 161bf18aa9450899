# What the rules share: the checked configuration, the patterns of file names, and what a stage depends on.
import json
import os
import re
import sys

sys.path.insert(0, workflow.basedir)

from functools import cache
from pathlib import Path

from zsad.watching.failures import tell_failures_in_sentences

tell_failures_in_sentences()  # before the other modules, in case a package is missing

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger
from snakemake_interface_executor_plugins.settings import DeploymentMethod

from zsad.workflow.codetrace import code_hashes, import_package_from
from zsad.workflow.settings import Settings
from zsad.workflow.configfiles import read_configuration
from zsad.data.catalogue import datasets
from zsad.data.changed import changed_tables, changed_text, put_aside
from zsad.data.dataset import DOWNLOADS
from zsad.data.layouts.base import TAKEN
from zsad.data.layouts.registry import LAYOUTS
from zsad.data.subsets import VIEWS
from zsad.errors import ZsadError
from zsad.features.registry import BACKBONES
from zsad.files.json_values import canonical_json
from zsad.refinement.registry import MODULATIONS, REFINERS
from zsad.workflow.runnable import sentences
from zsad.scoring.registry import FUSIONS, SCORERS
from zsad.scoring.thresholds.registry import THRESHOLDS
from zsad.segmentation.registry import SEGMENTERS
from zsad.workflow.software import check_image, device_environment, image_address, image_environment
from zsad.names import NO_REFINER
from zsad.files.tracked import literal, stamp
from zsad.watching.watch import watch_run
from zsad.workflow.workplace import check_folders, check_writable

# The library beside this Snakefile is the one whose code is tracked, so it must be the one that runs.
import_package_from(Path(workflow.basedir))

deployment = workflow.deployment_settings.deployment_method
LEFT_OUT = "ZSAD_METHODS_LEFT_OUT"  # by which jobs are told

container_image = None  # without --sdm apptainer, nothing is asked of it

try:
    # Jobs are told which methods cannot run: they list no images, and agree with the process that started them.
    if workflow.is_main_process:
        os.environ.pop(LEFT_OUT, None)
        files = [read_configuration(Path(path)) for path in workflow.configfiles]
        settings = Settings(config, files=files)
        for sentence in sentences(settings.left_out):
            logger.warning(sentence)
        os.environ[LEFT_OUT] = canonical_json(settings.left_out)
    else:
        told = os.environ.get(LEFT_OUT)
        settings = Settings(config, left_out=json.loads(told) if told else None)
    if DeploymentMethod.APPTAINER in deployment:
        container_image = image_address(settings.config["container"], Path(workflow.basedir))
    if workflow.is_main_process:
        check_folders(settings.dataset)
        settings.check_models()
        settings.data.list_files()
        if container_image:
            check_image(container_image, environments_too=DeploymentMethod.CONDA in deployment)
    # Where weights and shared files are, for the jobs, which this process starts, and for the hub's client.
    os.environ.update(settings.sharing.variables())
    if container_image:
        os.environ.update(image_environment(settings, Path(workflow.basedir)))
except ZsadError as error:
    raise WorkflowError(str(error)) from None

# The terminal of the run itself, not of its jobs.
if workflow.is_main_process:
    watch_run(dry_run=workflow.output_settings.dryrun)

CATEGORY = "results/{dataset}/{category}"
TABLES = "results/{dataset}/tables"
PLOTS = "results/{dataset}/plots"
LOGS = "results/{dataset}/logs"
BENCHMARKS = "results/{dataset}/benchmarks"

# Where nothing is to be downloaded, the folder of downloads is no part of any path.
downloads = settings.data.download_to if settings.data.is_downloaded else DOWNLOADS
DOWNLOAD = f"{downloads.as_posix()}/{{published}}.json"
IMAGE_LIST = f"{CATEGORY}/images.csv"
MANIFEST = f"{CATEGORY}/manifest.csv"
UNREADABLE = f"{CATEGORY}/unreadable.csv"
CHECK = f"{CATEGORY}/check.json"
FEATURES = f"{CATEGORY}/features/{{backbone}}/{{subset}}.{{view}}.h5"
EMBEDDINGS = f"{CATEGORY}/embeddings/{{segmenter}}/{{subset}}.h5"
FOREGROUNDS = f"{CATEGORY}/foregrounds/{{segmenter}}/{{subset}}.h5"
SCORES = f"{CATEGORY}/scores/{{method}}.h5"
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
TABLE_SUMS = f"{TABLES}/tables.sha256"
COST_SUMS = f"{TABLES}/cost.sha256"

SHOWN_TABLES = {
    "metrics_csv": "all metrics",
    "defect_types_csv": "types of defect",
    "images_csv": "all images",
    "refinement_csv": "refinement",
    "comparisons_csv": "comparisons",
}


wildcard_constraints:
    published="|".join(datasets()),
    dataset=r"[A-Za-z0-9_-]+",
    category=rf"(?!(?:{'|'.join(map(re.escape, TAKEN))})/)[^/]+",
    backbone=r"[A-Za-z0-9_-]+",
    subset=r"test|train|references-k\d+-seed\d+",
    view="|".join(VIEWS),
    segmenter=r"[A-Za-z0-9_-]+",
    method=r"[A-Za-z0-9_-]+",
    refiner=r"[A-Za-z0-9_-]+",


def available():
    """The data set, when its images are on this machine: an input function that asks earlier is asked again."""
    if settings.data.is_downloaded:
        checkpoints.download_dataset.get(published=settings.data.layout_name)
    return settings.data


def targets(pattern, **names):
    """An input function: all files of a pattern that the configuration asks for."""

    def files(wildcards):
        every = {
            "dataset": wildcards.get("dataset", settings.dataset),
            "category": available().categories,
            "method": settings.methods,
            "refiner": settings.refiners,
        }
        return expand(pattern, **{**every, **names})

    return files


def measured_targets(pattern, **names):
    """The same of what measures; nothing where no test image has a label."""
    return targets(pattern, **names) if settings.measurable.is_labelled else []


def oracle_targets(pattern):
    """The ceilings of the categories that have true masks."""

    def files(wildcards):
        data = available()
        categories = [category for category in data.categories if settings.measurable.has_masks(category)]
        return expand(
            pattern, dataset=settings.dataset, category=categories, segmenter=settings.oracle_segmenters
        )

    return files


def draws_beside(pattern):
    """The output of the bootstrap's draws, which there are if a test image has a label."""
    return {"draws": pattern} if settings.measurable.is_labelled else {}


def once_downloaded(pattern):
    """An input function: one file, which is not asked for before it is known which categories there are.

    Snakemake asks again for the parameters of a job that waits for a checkpoint only if its inputs do, too.
    """

    def file(wildcards):
        available()
        return pattern.format(**wildcards)

    return file


def made_table(name):
    """A table by its name in zsad/workflow/measurable.py; nothing where it would hold no figure."""
    tables = settings.measurable.tables
    return f"{TABLES}/{tables[name]}" if name in tables else []


def collected_tables():
    """The tables that have something to tell, those in CSV for Snakemake's report too."""
    made = {name: f"{TABLES}/{file}" for name, file in settings.measurable.tables.items()}
    shown = {
        name: report(
            made[name],
            caption=f"report/{name.removesuffix('_csv')}.rst",
            category="Tables",
            labels={"table": title},
        )
        for name, title in SHOWN_TABLES.items()
        if name in made
    }
    return made | shown


def curve_plots(wildcards):
    """The plots of curves, of the categories that have any."""
    return expand(
        f"{PLOTS}/{{category}}/curves.png", dataset=settings.dataset, category=categories_with_curves()
    )


def categories_with_curves():
    """The categories in which a ranking can be measured."""
    return [category for category in available().categories if settings.measurable.has_curves(category)]


def frozen(value):
    """One parameter for all that a stage depends on, as canonical text.

    Snakemake compares the values of `params` as a set without names: swapped numbers or one flipped boolean of several
    would go unseen. A brace in a text of the configuration is written as JSON's escape, as no wildcard is meant.
    """
    return re.sub(r"\{(?=\s*\w)", r"\\u007b", canonical_json(value))


def environment():
    """The conda environment of a rule that computes on the device; see zsad/workflow/software.py."""
    return f"../{device_environment(settings.config['device'])}"


def code(script, *entries):
    """The content of the code behind a rule, as one parameter; see zsad/workflow/codetrace.py."""
    return frozen(code_hashes(Path(workflow.basedir), f"workflow_scripts/{script}", entries))


def download_config(wildcards):
    """All that a downloaded data set depends on; where its archives lie matters as little as how fast they come."""
    archives = datasets()[wildcards.published].archives
    return frozen(
        {
            "dataset": wildcards.published,
            "download_to": settings.data.download_to.as_posix(),
            "archives": [
                archive.model_dump(include={"file", "sha256", "size", "into"}) for archive in archives
            ],
        }
    )


def followed(files):
    """How jobs follow files that people named: those that can be inputs, and a stamp for those that cannot.

    Args:
        files: an input function of their paths.

    Returns:
        An input function, and a function of a parameter; both are needed. See zsad/files/tracked.py.
    """
    return lambda wildcards: literal(files(wildcards)), lambda wildcards: stamp(files(wildcards))


def listed_files(kind):
    """An input function: files of a category by the name of a method of `Dataset`, or the checksums of generated ones."""

    def files(wildcards):
        check_tables()
        if settings.data.is_demo:
            return [f"results/data/{wildcards.dataset}/{wildcards.category}.sha256"]
        return getattr(available(), kind)(wildcards.category)

    return files


@cache
def check_tables():
    """When a run begins, put tables aside that were changed by hand; Snakemake looks later which files there are."""
    if not workflow.is_main_process or workflow.executor_plugin is None or workflow.touch:
        return
    changed = changed_tables(Path(f"results/{settings.dataset}", name) for name in available().categories)
    if changed and not workflow.dryrun:
        put_aside(changed)
    if changed:
        logger.warning(changed_text(changed))


# What the list of images is made from, what the manifest is made from besides: masks, and what is checked: tables too.
image_files, image_stamp = followed(listed_files("image_files"))
truth_files, truth_stamp = followed(listed_files("truth_files"))
checked_files, checked_stamp = followed(listed_files("files"))


def listing(kind):
    """A parameter for what places and tables say of a category's images: a digest, by the name of a method of `Dataset`.

    It stands for the tables, of which one may hold the labels of all categories.
    """

    def digest(wildcards):
        return "" if settings.data.is_demo else getattr(available(), kind)(wildcards.category)

    return digest


def reading_config(wildcards):
    """All that the list of a category's images depends on besides the images: the layout, and what they are held to."""
    return frozen({**settings.data.stage_config(), "bounds": settings.image_bounds().stage_config()})


def check_config(wildcards):
    """All that the check of a category depends on besides its images: the layout, and what has been published."""
    facts = settings.data.facts
    published = facts and {name: counts and counts.model_dump() for name, counts in facts.categories.items()}
    package = {"verified": facts.package.version} if facts and facts.package else {}
    return frozen({**settings.data.stage_config(), "published": published, **package})


def asked_methods(wildcards, input):
    """What the methods refuse is asked again wherever it can save work, but nothing is run again to ask.

    Snakemake does not compare a parameter whose function is given the input.
    """
    return frozen(settings.suitability().stage_config())


def backbone_files(wildcards):
    """The files of a model in a local folder; none for a hub id or a backbone without weights."""
    return settings.backbones[wildcards.backbone].local_files()


weight_files, weight_stamp = followed(backbone_files)


def scoring_files(wildcards):
    """What a method scores in one category: its feature files by role, and the outlines of the parts if it asks."""
    entry = settings.methods[wildcards.method]
    place = {"dataset": wildcards.dataset, "category": wildcards.category}
    features = {
        role: FEATURES.format(backbone=entry.backbone, **wanted._asdict(), **place)
        for role, wanted in entry.feature_sets.items()
    }
    foregrounds = {
        f"foreground_{role}": FOREGROUNDS.format(segmenter=entry.segmenter, subset=subset, **place)
        for role, subset in entry.foregrounds.items()
    }
    return features | foregrounds


def all_feature_files(wildcards):
    """The feature files of all methods and categories, each once."""
    return [
        FEATURES.format(dataset=settings.dataset, category=category, backbone=backbone, **wanted._asdict())
        for category in available().categories
        for backbone, wanted in settings.feature_sets
    ]


def shown_masks(wildcards):
    """The masks that the gallery shows, if not the thresholded map itself."""
    if settings.report_refiner == NO_REFINER:
        return []
    return MASKS.format(refiner=settings.report_refiner, **wildcards)


def extraction_config(wildcards):
    """All that features depend on besides the images, or the features that they are joined from."""
    return frozen(settings.backbones[wildcards.backbone].stage_config())


def extraction_code(wildcards):
    """The code behind the features of one backbone."""
    return code("extract_features.py", BACKBONES.entry(settings.backbones[wildcards.backbone].family))


def joined_files(wildcards):
    """The features of the members of a joint, of the same images, in its order."""
    members = settings.backbones[wildcards.backbone].members
    return [FEATURES.format(**{**wildcards, "backbone": member.name}) for member in members]


def joining_code(wildcards):
    """The code behind the features of a joint."""
    return code("join_features.py", BACKBONES.entry(settings.backbones[wildcards.backbone].family))


def segmentation_files(wildcards):
    """The files of a segmentation model that lies on this machine; none for a published one."""
    return settings.segmenters[wildcards.segmenter].local_files()


segmenter_files, segmenter_stamp = followed(segmentation_files)


def segmenter_config(wildcards):
    """All that embeddings depend on besides the images."""
    return frozen(settings.segmenters[wildcards.segmenter].stage_config())


def segmenter_code(script, name, *entries):
    """The code behind a script that runs a segmentation model."""
    return code(script, SEGMENTERS.entry(settings.segmenters[name].family), *entries)


def embedding_code(wildcards):
    """The code behind embeddings."""
    return segmenter_code("embed_images.py", wildcards.segmenter)


def foreground_config(wildcards):
    """All that the outlines of parts depend on besides the embeddings."""
    segmenter = settings.segmenters[wildcards.segmenter].stage_config()
    return frozen({"segmenter": segmenter, "options": settings.foreground.parameters()})


def foreground_code(wildcards):
    """The code behind the outlines of parts."""
    return segmenter_code("segment_foreground.py", wildcards.segmenter)


def oracle_config(wildcards):
    """All that the ceiling of a segmentation model depends on besides embeddings and truth."""
    segmenter = settings.segmenters[wildcards.segmenter].stage_config()
    return frozen({"segmenter": segmenter, "options": settings.evaluation.parameters()})


def oracle_code(wildcards):
    """The code behind the ceiling of a segmentation model."""
    return segmenter_code("evaluate_oracle.py", wildcards.segmenter)


def scoring_config(wildcards):
    """All that scores depend on besides the features."""
    return frozen(settings.methods[wildcards.method].stage_config())


def scoring_code(wildcards):
    """The code behind the scores of one method."""
    entry = settings.methods[wildcards.method]
    threshold = THRESHOLDS.entry(entry.scoring["threshold"]["rule"])
    return code("score_images.py", SCORERS.entry(entry.scorer), threshold)


def member_scores(wildcards):
    """The score files that a method reads, in its order."""
    return [
        SCORES.format(dataset=wildcards.dataset, category=wildcards.category, method=member)
        for member in settings.methods[wildcards.method].members
    ]


def fusion_code(wildcards):
    """The code behind a fusion."""
    return code("fuse_scores.py", FUSIONS.entry(settings.methods[wildcards.method].scorer))


def modulation_code(wildcards):
    """The code behind a modulation."""
    return code("modulate_scores.py", MODULATIONS.entry(settings.methods[wildcards.method].scorer))


def modulated_scores(wildcards):
    """The scores that a method modulates."""
    (scores,) = member_scores(wildcards)
    return scores


def modulating_masks(wildcards):
    """The masks that modulate a method's maps."""
    entry = settings.methods[wildcards.method]
    return MASKS.format(
        dataset=wildcards.dataset,
        category=wildcards.category,
        method=entry.members[0],
        refiner=entry.refiner,
    )


def named(entries):
    """The pattern of the given names and nothing else."""
    return "|".join(entries) or "(?!)"


def prompts(refiner):
    """Whether a refiner prompts a segmentation model."""
    return bool(settings.refiners[refiner].segmenter)


def prompted(wildcards):
    """The segmentation model that a refiner prompts; None for one without."""
    return settings.segmenters.get(settings.refiners[wildcards.refiner].segmenter)


def refinement_files(wildcards):
    """What a refiner reads besides images, scores and the weights of its model: embeddings, parts and crops."""
    segmenter = prompted(wildcards)
    if segmenter is None:
        return {}
    refiner = settings.refiners[wildcards.refiner]
    place = {
        "dataset": wildcards.dataset,
        "category": wildcards.category,
        "segmenter": segmenter.name,
        "subset": "test",
    }
    files = {"embeddings": EMBEDDINGS.format(**place)}
    if refiner.foreground:
        files["foregrounds"] = FOREGROUNDS.format(**place)
    if refiner.crops is not None:
        files["crops"] = CROPS.format(method=wildcards.method, refiner=wildcards.refiner, **place)
    return files


def refiner_files(wildcards):
    """The files of the segmentation model that a refiner prompts; none for one without, or a published one."""
    segmenter = prompted(wildcards)
    return [] if segmenter is None else segmenter.local_files()


refiner_weights, refiner_stamp = followed(refiner_files)


def crop_config(wildcards):
    """All that the embeddings of crops depend on besides the images and scores."""
    crops = settings.refiners[wildcards.refiner].crops
    return frozen({"crops": crops, "segmenter": prompted(wildcards).stage_config()})


def crop_code(wildcards):
    """The code behind the embeddings of crops."""
    return segmenter_code("embed_crops.py", prompted(wildcards).name)


def refinement_config(wildcards):
    """All that masks depend on besides the images and scores."""
    segmenter = prompted(wildcards)
    model = {} if segmenter is None else {"segmenter": segmenter.stage_config()}
    return frozen(settings.refiners[wildcards.refiner].stage_config() | model)


def refinement_code(wildcards):
    """The code behind the masks of one refiner."""
    refiner = REFINERS.entry(settings.refiners[wildcards.refiner].refiner)
    segmenter = prompted(wildcards)
    return code(
        "refine_masks.py",
        refiner,
        *([] if segmenter is None else [SEGMENTERS.entry(segmenter.family)]),
    )


def evaluation_config(wildcards):
    """All that metrics depend on besides the scores, and the names that stand in the tables."""
    return frozen(
        {
            "backbone": settings.methods[wildcards.method].backbone,
            "group": settings.methods[wildcards.method].group,
            "options": settings.evaluation.parameters(),
            "saturation": next(iter(saturation_tables(wildcards)), None),
        }
    )


def saturation_tables(wildcards):
    """The table of saturation areas, of a data set that has one."""
    table = available().saturation(wildcards.category)
    return [] if table is None else [table.as_posix()]


saturation_table, saturation_stamp = followed(saturation_tables)


def tables_config(wildcards):
    """All that the tables depend on besides the results: which categories are textures, and what others published."""
    data = available()
    unmade = [f"results/{settings.dataset}/{path}" for path in settings.measurable.unmade()]
    return frozen({"textures": data.textures, "published": settings.data.published, "unmade": unmade})


def page_config(wildcards):
    """All that the page depends on besides the results: the configuration that it shows."""
    return frozen(
        {
            "categories": available().categories,
            "with_curves": categories_with_curves(),
            "configuration": settings.resolved(),
            "methods": {
                name: {**entry.description, "threshold": settings.threshold_in_words(name)}
                for name, entry in settings.methods.items()
            },
        }
    )
