"""The validated configuration, completed and divided into the parameters of each stage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from snakemake.utils import update_config

from zsad.data.bounds import Bounds
from zsad.data.dataset import RESULTS, Dataset
from zsad.data.subsets import FeatureSet
from zsad.deciding.registry import THRESHOLDS
from zsad.errors import ConfigError, nearest_hint
from zsad.errors.sections import AUXILIARY
from zsad.files.tracked import check_workflow_folder
from zsad.grids import GridRule, TokenLayout
from zsad.reporting.options import ReportOptions
from zsad.scoring.base import Needs
from zsad.scoring.tokens import layer_refusal, patch_layers
from zsad.sharing.options import Sharing
from zsad.texts.part_names import ANY_PART, check_part_names, part_name
from zsad.workflow.classifiers import (
    check_kinds_left_out,
    check_supports,
    check_truth,
    classifier_entries,
    localises,
    support_entries,
    support_features,
)
from zsad.workflow.configfiles import check_switched_off, defined_entries, read_configuration
from zsad.workflow.entries import BackboneEntry, ClassifierEntry, MethodEntry, RefinerEntry, TextsEntry
from zsad.workflow.exports import exports_of
from zsad.workflow.learnable import check_labels, check_references
from zsad.workflow.measurable import Measurable
from zsad.workflow.methods import method_entries
from zsad.workflow.published import our_protocol, published_rows
from zsad.workflow.references import Models
from zsad.workflow.refiners import check_shown, refiner_entries
from zsad.workflow.runnable import methods_left_out, sentences
from zsad.workflow.schema import default_config, validate_config
from zsad.workflow.suitability import Asked, Suitability
from zsad.workflow.sweep import expand_sweep, swept_columns
from zsad.workflow.texts import check_files, check_origins
from zsad.workflow.trained import check_weights
from zsad.workflow.unseen import check_auxiliary, check_unseen

REPOSITORY = Path(__file__).resolve().parents[2]
WORKFLOW_PATH = REPOSITORY / "Snakefile"  # does not exist in an installed package
DEFAULT_PATH = REPOSITORY / "config.yaml"


class Settings:
    """A valid configuration.

    Args:
        config: the merged configuration from Snakemake or `load`; missing keys are as in `default_config`, but a given
            section of named entries (methods, ...) replaces the default one.
        files: the files merged besides `config.yaml`, to reject an entry that is switched off but never defined; None
            to skip this check.
        left_out: methods that another process has found unable to run, and why; None to determine them here. Jobs get
            them, so that they agree with the process that started them even if images have changed.
        results: the folder of all results.

    Attributes:
        config: the validated and completed configuration, as plain data.
        sharing: what is shared with other users, and where.
        data: the data set under test.
        auxiliary: the data set that methods are trained on; None if there is none.
        backbones, segmenters, methods, refiners, classifiers, supports: entries by name, only those in use; see
            `zsad.workflow.entries`.
        scoring, foreground, extraction, evaluation, report: the sections of these names.
        report_refiner: whose masks the page shows.
        swept: the methods that the section ``sweep`` makes out of one; only those that can run.
        exports: what is exported.
        measurable: what the ground truth of the data set allows to measure.
        left_out: configured methods that cannot run for lack of images, by name, with the reason, a clause each.
        classifiers_left_out: classifiers that would read the maps of such a method, by name, with the method.

    Raises:
        ConfigError: an unknown key, a wrong value, a name that does not exist, a path that Snakemake cannot use, or no
            method that can run.
        DataError: the data set's folder does not exist or has no category.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        *,
        files: Sequence[Mapping[str, Any]] | None = None,
        left_out: Mapping[str, str] | None = None,
        results: Path = RESULTS,
    ) -> None:
        if WORKFLOW_PATH.is_file():
            check_workflow_folder(REPOSITORY)
        given = validate_config(config)
        self.config = given.plain()
        if files is not None:
            check_switched_off(self.config, defined_entries([_default(), *files]))
        self._sweep = given.sweep
        given, swept = expand_sweep(given)
        self.sharing = Sharing(given.sharing)
        self.results = results
        self.data = Dataset(self.config["dataset"], self.sharing.downloads, results)
        self.data.check()
        if known := self.data.known_categories:
            check_part_names(self.data.part_names, known)
        models = Models(given)
        self.refiners = refiner_entries(given, models)
        self.methods = method_entries(given, models, self.refiners)
        if not self.methods:
            raise ConfigError("no method is configured; add one under 'methods'")
        check_origins(self.methods.values())
        classifiers = classifier_entries(given, models, self.methods, self.refiners)
        self.backbones, self.segmenters = models.backbones, models.segmenters
        to_meet = published_rows(given.published, self.methods, self.data.published, self.data.layout_name)
        self.left_out = dict(self._unable() if left_out is None else left_out)
        self.classifiers = {name: entry for name, entry in classifiers.items() if entry.method not in self.left_out}
        self.classifiers_left_out = {
            name: entry.method for name, entry in classifiers.items() if name not in self.classifiers
        }
        self.supports = support_entries(given, self.classifiers)
        self._leave_out()
        self.auxiliary = self._auxiliary(results)
        if left_out is None:
            self._check_unseen()
            check_truth(self.classifiers, self.data)
            check_supports(self.supports, self.data)
            check_kinds_left_out(self.classifiers, self.supports, self.data)
        running = {called for entry in self.methods.values() for called in (entry.name, entry.group)}
        self._to_meet = {name: row for name, row in to_meet.items() if name in running}
        can_run = [one.only(running) for one in swept]
        self.swept = tuple(one for one in can_run if one.entries)
        self.measurable = Measurable(
            self.data,
            localises=any(localises(name, self.methods) for name in self.methods),
            classifiers=self.classifiers,
            meets=bool(self._to_meet),
            swept=[one.method for one in self.swept],
        )
        self.scoring, self.foreground = given.scoring, given.foreground
        self.extraction, self.evaluation = given.extraction, given.evaluation
        self.report = ReportOptions(**given.report.model_dump(include={*ReportOptions.model_fields}))
        self.report_refiner = given.report.refiner
        check_shown(self.report_refiner, self.refiners, "report.refiner")
        self.exports = exports_of(given.exports, self.methods, self.left_out, self.refiners, self.report_refiner)

    @property
    def dataset(self) -> str:
        """Name of the data set, first folder under ``results/``."""
        return self.data.name

    @property
    def categories(self) -> list[str]:
        """Names of the categories, in order; see `Dataset.categories`."""
        return self.data.categories

    @property
    def data_sets(self) -> list[Dataset]:
        """All data sets whose images are read: the one under test first."""
        return [self.data] if self.auxiliary is None else [self.data, self.auxiliary]

    def data_of(self, dataset: str) -> Dataset:
        """One of `data_sets` by its name.

        Raises:
            KeyError: no data set has this name.
        """
        return {data.name: data for data in self.data_sets}[dataset]

    def is_auxiliary(self, dataset: str) -> bool:
        """Whether a data set is for training and not under test."""
        return self.data_of(dataset) is self.auxiliary

    def left_out_sentences(self) -> list[str]:
        """One sentence for each method and classifier that is left out, and for a data set that nothing reads."""
        unread = "the section 'auxiliary' is not read: no method is trained on another data set"
        return [
            *([unread] if self.config["auxiliary"] is not None and self.auxiliary is None else []),
            *sentences(self.left_out),
            *(
                f"classifier '{name}' is left out: it reads the maps of '{method}', which is left out"
                for name, method in self.classifiers_left_out.items()
            ),
        ]

    def check_models(self) -> None:
        """Check the parameters of backbones against their models, as far as this machine knows them.

        Raises:
            ConfigError: a model does not support a resolution, tile or layer; prompts or trained weights of a method do
                not exist; or a category's name cannot be used in words.
            ModelError: a model on this machine is damaged, incomplete, or of an unknown family.
        """
        for entry in self.backbones.values():
            entry.backbone.check_model()
            entry.check_files()
            self._check_patches(entry)
        for classifier in self.classifiers.values():
            self._check_layers(classifier)
        check_files(self.methods.values())
        check_weights(self.methods.values(), self.backbones)
        for category in self.data.expected_categories if self.asked_texts else ():
            self.part_name(category)

    def _check_patches(self, entry: BackboneEntry) -> None:
        """Reject a backbone that computes too many patches even for a square image.

        Raises:
            ConfigError: it computes too many.
        """
        layout, most = entry.known_layout(), self.data.bounds.max_patches
        if layout is None or (patches := layout.rule.computed(1, 1)) <= most:
            return
        asked = {key: entry.params.get(key) for key in ("resolution", "tile", "overlap")}
        given = ", ".join(f"{key} {value}" for key, value in asked.items() if value)
        lower = "resolution or overlap" if asked["overlap"] else "resolution"
        raise ConfigError(
            f"backbone '{entry.name}'{f' with {given}' if given else ''} computes {patches} patches for a square "
            f"image, more than dataset.max_patches {most} allows; "
            f"{f'lower its {lower}' if given else 'change its parameters'}, or raise dataset.max_patches"
        )

    def _check_layers(self, classifier: ClassifierEntry) -> None:
        """Reject a classifier with a layer that its backbone, as far as known, does not have.

        Raises:
            ConfigError: there is one.
        """
        layout, where = self._layouts.get(classifier.backbone), f"classifiers.{classifier.name}.layers"
        for layer in classifier.embedding["layers"] or ():
            if layout is None or layout.layers is None:
                return
            if layer not in layout.layers:
                raise ConfigError(
                    f"{where}: backbone '{classifier.backbone}' has no layer '{layer}'"
                    f"{nearest_hint(layer, patch_layers(layout.layers))}"
                )
            if reason := layer_refusal(layer, layout.layers):
                raise ConfigError(f"{where}: {reason}")

    def image_bounds(self, dataset: str = "") -> Bounds:
        """The limits for images: those of their data set, and those that follow from the backbones.

        Args:
            dataset: its name; empty for the one under test.
        """
        data = self.data_of(dataset or self.dataset)
        seeing = set(self.backbones) if data is self.data else {name for name, _ in self.training_features}
        # A joint backbone computes no patches besides those of its members.
        rules = {name: layout.rule for name, layout in self._layouts.items() if name in seeing}
        grids = {name: rule for name, rule in rules.items() if isinstance(rule, GridRule)}
        return Bounds.of(data.bounds, grids)

    @cached_property
    def _layouts(self) -> dict[str, TokenLayout]:
        """The token layouts of the backbones that are known before loading."""
        layouts = {name: entry.known_layout() for name, entry in self.backbones.items()}
        return {name: layout for name, layout in layouts.items() if layout is not None}

    def suitability(self, dataset: str = "") -> Suitability:
        """The methods that score features, with their known restrictions on images.

        Args:
            dataset: the name of the images' data set; empty for the one under test. On another, methods are trained.
        """
        of_training = self.is_auxiliary(dataset or self.dataset)
        methods = {
            name: Asked(
                entry.scorer,
                entry.params,
                entry.backbone,
                THRESHOLDS.load(entry.deciding["rule"]).needs_references,
            )
            for name, entry in self.methods.items()
            if (entry.is_trained if of_training else not entry.members)
        }
        return Suitability(methods, self._layouts, of_training)

    @property
    def fitted_methods(self) -> list[str]:
        """The methods for which a model is fitted to references."""
        return [name for name, entry in self.methods.items() if entry.fitted_roles]

    @property
    def trained_methods(self) -> list[str]:
        """The methods for which weights are trained on the auxiliary data set."""
        return [name for name, entry in self.methods.items() if entry.is_trained]

    def training_config(self, method: str) -> dict[str, Any]:
        """What the training of a method on another data set depends on besides that data set."""
        entry = self.methods[method]
        return {
            "scorer": entry.scorer,
            "params": {name: value for name, value in entry.params.items() if name != "trained_on"},
            "precision": self.scoring.precision,
            "trained_on": entry.trained_on,
        }

    def fit_config(self, method: str) -> dict[str, Any]:
        """What a method's model depends on besides features and masks, and what is needed to load it.

        Scoring a single photograph with it requires the backbone's features, and the segmenter's foreground if the
        method uses it.
        """
        entry = self.methods[method]
        backbone = self.backbones[entry.backbone]
        config = {**entry.stage_config(), "backbone": {"name": backbone.name, **backbone.stage_config()}}
        if entry.segmenter:
            segmenter = self.segmenters[entry.segmenter]
            config["segmenter"] = {"name": segmenter.name, **segmenter.stage_config()}
            config["foreground"] = self.foreground.parameters()
        return config

    @property
    def feature_sets(self) -> list[tuple[str, FeatureSet]]:
        """Backbone and images of all features that are read or joined, sorted and without repetitions."""
        read = {
            (method.backbone, features) for method in self.methods.values() for features in method.feature_sets.values()
        }.union(*(support_features(classifier, self.methods) for classifier in self.classifiers.values()))
        return self._with_members(read)

    @property
    def training_features(self) -> list[tuple[str, FeatureSet]]:
        """Backbone and images of all features of the auxiliary data set, in the form of `feature_sets`."""
        return self._with_members(
            {(entry.backbone, wanted) for entry in self.methods.values() for wanted in entry.training_sets.values()}
        )

    @property
    def read_features(self) -> list[tuple[Dataset, list[tuple[str, FeatureSet]]]]:
        """Each of `data_sets` with the features of its images: `feature_sets`, or `training_features`."""
        under_test = [(self.data, self.feature_sets)]
        return under_test + ([] if self.auxiliary is None else [(self.auxiliary, self.training_features)])

    def _with_members(self, read: Iterable[tuple[str, FeatureSet]]) -> list[tuple[str, FeatureSet]]:
        """The features and the members of joint features, sorted and without repetitions."""
        return sorted(
            {
                (backbone, features)
                for name, features in read
                for backbone in (name, *(member.name for member in self.backbones[name].members))
            }
        )

    def part_name(self, category: str, texts: TextsEntry | None = None) -> str:
        """The name in words of the object of a category.

        Args:
            texts: the prompts; learned ones are the same for any object.
        """
        return ANY_PART if texts and texts.is_learned else part_name(category, self.data.part_names)

    def text_backbone(self, method: str) -> str:
        """The backbone whose file of texts a method reads: the first whose model computes the same text vectors.

        Only backbones of methods with text prompts count, in the order of these methods.
        """
        return self._text_backbones[method]

    @cached_property
    def _text_backbones(self) -> dict[str, str]:
        """The backbone for texts of each method with text prompts."""
        asking = {name: entry.backbone for name, entry in self.methods.items() if entry.texts is not None}
        configs = {name: self.backbones[name].text_config() for name in dict.fromkeys(asking.values())}
        first = {name: next(each for each in configs if configs[each] == configs[name]) for name in configs}
        return {method: first[name] for method, name in asking.items()}

    @cached_property
    def asked_texts(self) -> dict[tuple[str, str], TextsEntry]:
        """The text prompts of all methods without repetitions, by the backbone and the prompts in the file name."""
        return {
            (self.text_backbone(name), entry.texts.name): entry.texts
            for name, entry in self.methods.items()
            if entry.texts is not None
        }

    def to_meet(self) -> dict[str, dict[str, str]]:
        """By method, or entry with several seeds: the published rows for comparison, and our protocol.

        See `zsad.tables.against_published`.
        """
        entries = {called: entry for entry in self.methods.values() for called in (entry.group, entry.name)}
        return {name: {**row, "protocol": self._our_protocol(entries[name])} for name, row in self._to_meet.items()}

    @property
    def swept_columns(self) -> dict[str, dict[str, Any]]:
        """The columns that the sweep adds to ``metrics.csv``: by column the values of the methods that have one."""
        groups = {entry.name: entry.group or entry.name for entry in self.methods.values()}
        return swept_columns(self.swept, groups)

    def _our_protocol(self, entry: MethodEntry) -> str:
        return our_protocol(self.evaluation, entry, self.backbones.get(entry.backbone))

    @property
    def published_categories(self) -> list[str]:
        """All categories of the published data set under test, in the run or not; empty for the user's own images."""
        return list(self.data.facts.categories) if self.data.published and self.data.facts else []

    @property
    def oracle_segmenters(self) -> list[str]:
        """The segmenters of refiners, whose upper bound is measured with boxes from the ground truth."""
        return list(dict.fromkeys(entry.segmenter for entry in self.refiners.values() if entry.segmenter))

    def threshold_in_words(self, method: str) -> str:
        """The rule behind a method's thresholds with its parameters, e.g. ``"robust_tail (z 5)"``."""
        entry = self.methods[method]
        if entry.refiner:
            return f"{self.threshold_in_words(entry.members[0])}, as {entry.members[0]}"
        rule = entry.deciding
        given = ", ".join(f"{name} {_in_words(value)}" for name, value in rule["params"].items() if value is not None)
        return f"{rule['rule']} ({given})" if given else rule["rule"]

    def resolved(self) -> dict[str, Any]:
        """Everything that the results depend on, with every default filled in; for the page."""
        return {
            "dataset": self.data.resolved(),
            **({} if self.auxiliary is None else {"auxiliary": self.auxiliary.resolved()}),
            **({"sweep": self._shown_sweep} if self.swept else {}),
            "backbones": {name: entry.shown() for name, entry in self.backbones.items()},
            "methods": {
                name: {
                    "backbone": entry.backbone,
                    **_segmenter_of(entry),
                    **entry.stage_config(),
                    **_threshold_of(entry),
                }
                for name, entry in self.methods.items()
            },
            **({"left_out": self.left_out} if self.left_out else {}),
            **({"part_names": self._part_names} if self.asked_texts else {}),
            "segmenters": {name: entry.stage_config() for name, entry in self.segmenters.items()},
            "foreground": self.foreground.parameters(),
            "refiners": {name: entry.stage_config() | _segmenter_of(entry) for name, entry in self.refiners.items()},
            **self._resolved_classifiers(),
            "evaluation": self.evaluation.parameters(),
            "report": {"refiner": self.report_refiner, **self.report.parameters()},
        }

    @property
    def _shown_sweep(self) -> dict[str, Any]:
        """The section as it is written."""
        written = self._sweep.model_dump(exclude_defaults=True)
        return {
            section: {name: entry for name, entry in entries.items() if entry is not None}
            for section, entries in written.items()
        }

    @property
    def _part_names(self) -> dict[str, str]:
        return {category: self.part_name(category) for category in self.categories}

    def _resolved_classifiers(self) -> dict[str, Any]:
        """The resolved classifiers; empty if none is configured."""
        sections = {
            "supports": {name: entry.stage_config() for name, entry in self.supports.items()},
            "classifiers": {name: entry.shown() for name, entry in self.classifiers.items()},
            "classifiers_left_out": self.classifiers_left_out,
        }
        return {name: section for name, section in sections.items() if section}

    def _auxiliary(self, results: Path) -> Dataset | None:
        """The auxiliary data set, if a method is trained on it.

        Raises:
            ConfigError: it is invalid.
            DataError: its folder is absent or has no category.
        """
        if not self.trained_methods:
            return None
        downloads = self.config["dataset"]["download_to"] or self.sharing.downloads
        auxiliary = Dataset(self.config["auxiliary"], downloads and Path(downloads), results, AUXILIARY)
        auxiliary.check()
        return auxiliary

    def _check_unseen(self) -> None:
        """Reject methods that learn from the data set under test, or that have nothing to learn from.

        Raises:
            ConfigError: there is one, or the two data sets are downloaded into different folders.
        """
        check_unseen(self.methods.values(), self.data)
        if self.auxiliary is None:
            return
        check_auxiliary(self.auxiliary, self.data)
        check_labels(self.auxiliary)
        check_references(self.methods.values(), self.auxiliary)
        folders = {data.download_to for data in self.data_sets if data.is_downloaded}
        if len(folders) > 1:
            raise ConfigError(
                f"auxiliary.download_to is {self.auxiliary.download_to}, and dataset.download_to "
                f"{self.data.download_to}; both data sets are downloaded, so give the same folder for both"
            )

    def _unable(self) -> dict[str, str]:
        """Methods that cannot run for lack of images, and why."""
        if not any(entry.needs and entry.needs != Needs() for entry in self.methods.values()) or not self.data.is_here:
            return {}
        counts = {category: self.data.counts(category) for category in self.categories}
        known = {category: count for category, count in counts.items() if count is not None}
        return methods_left_out(self.methods, known, more_references=self.data.more_references)

    def _leave_out(self) -> None:
        """Remove the methods that cannot run, and what only they use.

        Raises:
            ConfigError: no method is left.
        """
        self.methods = {name: entry for name, entry in self.methods.items() if name not in self.left_out}
        if not self.methods:
            raise ConfigError(f"no method can run; {'; '.join(sentences(self.left_out))}")
        segmenters = {entry.segmenter for entries in (self.methods, self.refiners) for entry in entries.values()}
        backbones = {entry.backbone for entries in (self.methods, self.classifiers) for entry in entries.values()}
        backbones |= {member.name for name in backbones & {*self.backbones} for member in self.backbones[name].members}
        self.segmenters = {name: entry for name, entry in self.segmenters.items() if name in segmenters}
        self.backbones = {name: entry for name, entry in self.backbones.items() if name in backbones}


def load(*overrides: Path, dataset: Mapping[str, Any] | None = None) -> Settings:
    """Merge the given files into the default, as Snakemake's ``--configfile`` does.

    In a checkout, the default is its ``config.yaml``; in an installed package, `default_config`.

    Args:
        dataset: keys of the section ``dataset``, merged last.

    Raises:
        ConfigError: a file does not exist or is not a YAML mapping, or its content is invalid.
    """
    contents = [read_configuration(path) for path in overrides]
    merged: dict[str, Any] = {}
    for content in (_default(), *contents, {"dataset": dict(dataset or {})}):
        update_config(merged, content)
    return Settings(merged, files=contents)


@cache
def _default() -> dict[str, Any]:
    """The default that files are merged into."""
    return read_configuration(DEFAULT_PATH) if WORKFLOW_PATH.is_file() else default_config()


def default_sharing() -> Sharing:
    """Sharing by the default configuration, for commands that read no further configuration.

    Raises:
        ConfigError: the shared folder does not exist.
    """
    return Sharing(validate_config(_default()).sharing)


def _segmenter_of(entry: MethodEntry | RefinerEntry) -> dict[str, str]:
    return {"segmenter": entry.segmenter} if entry.segmenter else {}


def _in_words(value: Any) -> str:
    """The value of a parameter, in words."""
    return (
        f"{value:g}" if isinstance(value, float) else "yes" if value is True else "no" if value is False else f"{value}"
    )


def _threshold_of(entry: MethodEntry) -> dict[str, Any]:
    return {"threshold": entry.deciding} if entry.deciding else {}
