"""Which images the configured methods refuse for their sizes or number, known before any feature is computed.

It follows from the sizes of the images, from how each backbone lays its patches, and from what each scorer says of
that (`zsad.scoring.base.Scorer.refusal`).
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
    """What the images of a data set are asked about.

    Attributes:
        methods: by name.
        layouts: how the tokens of the backbones lie that are known before they are loaded.
        of_training: whether the methods are trained on the images, and do not score them.
    """

    methods: Mapping[str, Asked]
    layouts: Mapping[str, TokenLayout]
    of_training: bool = False

    @classmethod
    def from_json(cls, text: str) -> Self:
        """What `stage_config` gave, written as JSON."""
        config = json.loads(text)
        return cls(
            {name: Asked(**asked) for name, asked in config["methods"].items()},
            {name: _layout(layout) for name, layout in config["layouts"].items()},
            config["of_training"],
        )

    def stage_config(self) -> dict[str, Any]:
        """As plain JSON types, for the steps that ask."""
        return {
            "methods": {name: asked._asdict() for name, asked in self.methods.items()},
            "layouts": {name: _described(layout) for name, layout in self.layouts.items()},
            "of_training": self.of_training,
        }

    def refusals(self, category: str, subset: str = "test") -> Refusals:
        """What tells of the images of a category why methods refuse them, a sentence for each such method.

        Args:
            subset: that they are; of labelled examples and of images made for training, which have no references
                beside them, scoring and fitting themselves tell.
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
            return ""  # only what scores knows more to refuse
        shown = {role: _shown(chosen[role], of, layout) for role, of in sets.items()}
        return scorer.refusal(shown, scores_references=asked.scores_references)


def _described(layout: TokenLayout) -> dict[str, Any]:
    if layout.members:
        return {"members": [_described(member) for member in layout.members]}
    return {"rule": list(layout.rule), "layers": layout.layers, "channels": layout.channels, "debias": layout.debias}


def _layout(described: Mapping[str, Any]) -> TokenLayout:
    """What `_described` gave."""
    if members := described.get("members"):
        return assumed_joined_layout([_layout(member) for member in members])
    layers = None if described["layers"] is None else tuple(described["layers"])
    return TokenLayout(GridRule(*described["rule"]), layers, described["channels"], described["debias"])


def _without_tests(scorer: Scorer) -> dict[str, FeatureSet]:
    """What can be asked of where there are training images alone: references, which stand in for the images to score.

    Empty for a scorer without references.
    """
    if not scorer.fitted_roles:
        return {}
    fitted = {role: features for role, features in scorer.feature_sets().items() if role in scorer.fitted_roles}
    (subset,) = {features.subset for features in fitted.values() if not synthetic_named(features.subset)}
    return {**fitted, "test": FeatureSet(subset)}


def _training_sets(scorer: Scorer) -> dict[str, FeatureSet]:
    """What a scorer is trained on; nothing if it is not."""
    return scorer.training_sets() if isinstance(scorer, TrainedScorer) else {}


def _of_references(sets: Mapping[str, FeatureSet]) -> dict[str, FeatureSet]:
    """Those that are taken from training images."""
    return {role: features for role, features in sets.items() if features.subset != "test"}


def _selected(images: Sequence[SizedImage], subset: str, category: str) -> list[SizedImage]:
    """The images of a subset; those that are made for training are as large as what they will be made from.

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
    """Whether the test images are too few for a scorer whose backbone is not known yet."""
    least = scorer.needs().test
    return "" if tests >= least else f"it compares at least {least} test images, and there is {tests}; add some"


def _shown(images: Sequence[SizedImage], features: FeatureSet, layout: TokenLayout) -> Shown:
    """What a scorer will see of images."""
    views = variants(features.view)
    return Shown(
        [image.image_id + view.suffix for image in images for view in views],
        [layout.rule.size(image.height, image.width) for image in images for _ in views],
        layout.layers,
        layout.channels,
    )


def _positions(layout: TokenLayout, images: Sequence[SizedImage]) -> Iterator[str]:
    """Of which images the position cannot be taken out of the tokens, as they have too few patches."""
    for image in images if layout.debias else ():
        rows, columns = layout.rule.seen_at_once(image.height, image.width)
        most = min(rows * columns, layout.channels) - 1
        if layout.debias > most:
            yield (
                f"{image.image_id} has {rows} x {columns} patches with {layout.channels} channels, which have {most} "
                f"directions, fewer than the {layout.debias} that the backbone's debias takes out; lower debias or "
                "raise the backbone's resolution"
            )
