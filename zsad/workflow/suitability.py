"""Find images that configured methods cannot use because of their sizes or number, before features are computed.

This follows from the sizes of the images, the patch grid of each backbone, and the requirements of each scorer
(`zsad.scoring.base.Scorer.refusal`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, Self

from zsad.adaptation.plan import plan_images
from zsad.data.subsets import FeatureSet, Refusals, SizedImage, no_refusals, select, support_named, synthetic_named
from zsad.errors import DataError
from zsad.features.views import variants
from zsad.grids import GridRule, TokenLayout, assumed_joined_layout
from zsad.scoring.base import Scorer, Shown
from zsad.scoring.registry import SCORERS
from zsad.scoring.trained import TrainedScorer


class Asked(NamedTuple):
    """A method that scores features.

    Attributes:
        scorer, params: see `SCORERS`.
        backbone: its name.
        scores_references: whether its threshold rule has the references scored.
    """

    scorer: str
    params: Mapping[str, Any]
    backbone: str
    scores_references: bool


class Suitability(NamedTuple):
    """The methods that the images of a data set are checked for.

    Attributes:
        methods: by name.
        layouts: token layouts of the backbones that are known before loading.
        of_training: whether the methods are trained on the images instead of scoring them.
    """

    methods: Mapping[str, Asked]
    layouts: Mapping[str, TokenLayout]
    of_training: bool = False

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Rebuild it from the output of `stage_config`, as JSON."""
        config = json.loads(text)
        return cls(
            {name: Asked(**asked) for name, asked in config["methods"].items()},
            {name: _layout(layout) for name, layout in config["layouts"].items()},
            config["of_training"],
        )

    def stage_config(self) -> dict[str, Any]:
        """The content as plain JSON types, for the steps that check."""
        return {
            "methods": {name: asked._asdict() for name, asked in self.methods.items()},
            "layouts": {name: _described(layout) for name, layout in self.layouts.items()},
            "of_training": self.of_training,
        }

    def refusals(self, category: str, subset: str = "test") -> Refusals:
        """A function that returns why methods cannot use the images of a category, a sentence per method.

        Args:
            subset: of the images; labelled examples and synthetic images, which have no references, are checked by
                scoring and fitting.
        """
        return no_refusals if support_named(subset) or synthetic_named(subset) else partial(self._refusals, category)

    def _refusals(self, category: str, images: Sequence[SizedImage]) -> list[str]:
        reasons: dict[str, str] = {}
        for name, asked in self.methods.items():
            reasons.setdefault(self._reason(asked, category, images), name)
        return [f"method '{name}': {reason}" for reason, name in reasons.items() if reason]

    def _reason(self, asked: Asked, category: str, images: Sequence[SizedImage]) -> str:
        scorer, layout = SCORERS.build(asked.scorer, asked.params), self.layouts.get(asked.backbone)
        sets = _training_sets(scorer) if self.of_training else scorer.feature_sets()
        if not any(image.split == "test" for image in images):
            sets = _of_references(sets) if self.of_training else _without_tests(scorer)
            if not sets:
                return ""
        try:
            chosen = {role: _selected(images, of.subset, category) for role, of in sets.items()}
        except DataError as error:
            return str(error)
        if layout is None:
            return "" if self.of_training else _too_few(scorer, len(chosen["test"]))
        for each in layout.members or (layout,):
            if reason := next(_positions(each, images), ""):
                return reason
        if self.of_training:
            return ""  # only scoring has further reasons
        shown = {role: _shown(chosen[role], of, layout) for role, of in sets.items()}
        return scorer.refusal(shown, scores_references=asked.scores_references)


def _described(layout: TokenLayout) -> dict[str, Any]:
    if layout.members:
        return {"members": [_described(member) for member in layout.members]}
    return {"rule": list(layout.rule), "layers": layout.layers, "channels": layout.channels, "debias": layout.debias}


def _layout(described: Mapping[str, Any]) -> TokenLayout:
    """Rebuild a layout from the output of `_described`."""
    if members := described.get("members"):
        return assumed_joined_layout([_layout(member) for member in members])
    layers = None if described["layers"] is None else tuple(described["layers"])
    return TokenLayout(GridRule(*described["rule"]), layers, described["channels"], described["debias"])


def _without_tests(scorer: Scorer) -> dict[str, FeatureSet]:
    """The features that can be checked with only training images: references, in place of the images to score.

    Empty for a scorer without references.
    """
    if not scorer.fitted_roles:
        return {}
    fitted = {role: features for role, features in scorer.feature_sets().items() if role in scorer.fitted_roles}
    (subset,) = {features.subset for features in fitted.values() if not synthetic_named(features.subset)}
    return {**fitted, "test": FeatureSet(subset)}


def _training_sets(scorer: Scorer) -> dict[str, FeatureSet]:
    """The features that a scorer is trained on; empty if it is not trained."""
    return scorer.training_sets() if isinstance(scorer, TrainedScorer) else {}


def _of_references(sets: Mapping[str, FeatureSet]) -> dict[str, FeatureSet]:
    """The feature sets from training images."""
    return {role: features for role, features in sets.items() if features.subset != "test"}


def _selected(images: Sequence[SizedImage], subset: str, category: str) -> list[SizedImage]:
    """The images of a subset; synthetic images are as large as the images that they will be made from.

    Raises:
        DataError: see `select`.
    """
    made = synthetic_named(subset)
    if made is None:
        return select(images, subset, category)
    references = {image.image_id: image for image in select(images, made.references, category)}
    return [
        references[each.base]._replace(image_id=each.image_id, split="test")
        for each in plan_images(list(references), made)
    ]


def _too_few(scorer: Scorer, tests: int) -> str:
    """The reason if the test images are too few for a scorer whose backbone is not known yet; else empty."""
    least = scorer.needs().test
    return "" if tests >= least else f"it compares at least {least} test images, but there is {tests}; add some"


def _shown(images: Sequence[SizedImage], features: FeatureSet, layout: TokenLayout) -> Shown:
    """The token layout of images as a scorer will see them."""
    views = variants(features.view)
    return Shown(
        [image.image_id + view.suffix for image in images for view in views],
        [layout.rule.size(image.height, image.width) for image in images for _ in views],
        layout.layers,
        layout.channels,
    )


def _positions(layout: TokenLayout, images: Sequence[SizedImage]) -> Iterator[str]:
    """Yield why the position cannot be removed from the tokens of an image with too few patches."""
    for image in images if layout.debias else ():
        rows, columns = layout.rule.seen_at_once(image.height, image.width)
        most = min(rows * columns, layout.channels) - 1
        if layout.debias > most:
            yield (
                f"{image.image_id} has {rows} x {columns} patches with {layout.channels} channels, which have {most} "
                f"directions, fewer than the {layout.debias} that the backbone's debias removes; lower debias or "
                "raise the backbone's resolution"
            )
