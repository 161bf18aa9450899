"""Residual prompts: a small trained head scores each patch by its difference from the nearest normal patch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Self, get_args

from pydantic import Field, model_validator

from zsad.adaptation.residual_shape import BATCH, FINER, Input, head_operations, head_values, input_channels
from zsad.adaptation.training import Schedule, arrays_of, generator, load_arrays
from zsad.data.subsets import FeatureSet, base_id, synthetic_subset
from zsad.errors import DataError
from zsad.errors.sections import AUXILIARY
from zsad.files.learned import Learned
from zsad.files.training_facts import training_of
from zsad.lazy import torch
from zsad.names import with_auxiliary
from zsad.scoring.base import ImageScore, Shown
from zsad.scoring.compute import Compute
from zsad.scoring.cost import TokenCount, pair_operations
from zsad.scoring.labelled_images import LabelledImages, summarise_training_images
from zsad.scoring.nearest_patches import NearestPatches
from zsad.scoring.references import ALL, REFERENCES, SYNTHETIC, ReferenceScorer, Shots
from zsad.scoring.registry import SCORERS
from zsad.scoring.residual_examples import Example, ResidualExamples, auxiliary_examples, synthetic_examples
from zsad.scoring.stored import StoredTokens, store_tokens
from zsad.scoring.stored_weights import store_weights, stored_weights
from zsad.scoring.token_source import PatchSource, TokenSource
from zsad.scoring.tokens import Layers, kept_layers, layer_indices, unit_tokens
from zsad.scoring.trained import IMAGES, TrainedScorer, other_value

if TYPE_CHECKING:
    from zsad.adaptation.residual_head import ResidualHead
    from zsad.files.fitted import FittedReader, FittedWriter
    from zsad.scoring.labelled import AuxiliaryCategory

Recipe = Literal["cutpaste", "scar", "perlin", "normal_patch"]
ALL_RECIPES: tuple[Recipe, ...] = get_args(Recipe)


class HeadAndReferences(NamedTuple):
    """A fitted model.

    Attributes:
        learned: weights of the head, and their facts.
        head: the head with these weights.
        source: the references.
        indices: positions of its images.
        layers: positions of the layers.
        known: their patches.
    """

    learned: Learned
    head: ResidualHead
    source: PatchSource
    indices: Sequence[int]
    layers: Sequence[int]
    known: NearestPatches


class ResidualPrompts(ReferenceScorer, TrainedScorer):
    """Score each patch by a trained head from its difference to the nearest normal patch.

    At each layer, with ``q`` a unit patch token of the image and ``n`` the one that is nearest to it of all patches of
    the references, a head sees ``|q - n|``, channel by channel (``input: residual``), the concatenation of ``q`` and
    ``|q - n|`` (``concatenated``), or ``q + |q - n|`` (``sum``, as the paper). It gives the anomaly probability of each
    cell of a grid four times as fine, and of the image, see `zsad.adaptation.residual_head.ResidualHead`; one head
    serves all layers, as in the authors' release. With ``P`` the mean over layers and the cells of a patch, ``P_0``
    that of the image, and ``d`` the mean over layers of ``1 - <q, n>``,

        ``S = 2 P d / (P + d)`` (``combine: harmonic``, as the paper) or ``S = P`` (``head``),

    and the image score is the harmonic mean of ``P_0`` and the largest ``S``.

    ``learns_from: synthetic`` needs only the references: the head learns from synthetic images made from them. Each is
    compared with the references that it was not made from, and each reference, as a normal image, with all others, so
    that at least two are needed. ``learns_from: auxiliary`` learns from the labelled images of another data set, each
    compared with the same number of references of its own category; then one reference is enough.

    The training has a fixed number of steps with AdamW; each step uses four images of one size, two anomalous and two
    normal, and one layer. The loss is the focal and the Dice loss of the cells (anomalous where the mask covers more
    than half of a cell, normal where it covers nothing, ignored between) and the cross-entropy of the images.

    Departures: AdaptCLIP adds a textual and a visual prompt, which need a text tower; this method has only its third
    component. AdaptCLIP trains on the test split of another data set; it has no option for synthetic anomalies. Its map
    has the resolution of the image, here of the patches. With synthetic training an image is compared with fewer
    references in training than later, when none is left out.

    The rule for the default of ``input``, fixed before anything was measured: the best mean of image AUROC and pixel
    AUROC over the four categories of the demo set with the filter bank ``embedded``, eight references and three seeds,
    over both trainings: on synthetic anomalies, and on the other three categories.
    """

    fitted_roles: ClassVar[tuple[str, ...]] = (REFERENCES, SYNTHETIC)
    folds: ClassVar[int] = 2
    of_training: ClassVar[tuple[str, ...]] = (
        "input",
        "steps",
        "rate",
    )  # the seed is not among them: it also samples references
    summary: ClassVar[str] = "A trained head scores each patch by its difference from the nearest normal one."
    reference: ClassVar[str] = "AdaptCLIP: Gao et al., arXiv 2505.09926, prompt-query adapter."
    blind_to: ClassVar[str] = (
        "what is similar to the references, such as a normal component in a wrong place, and what differs from them "
        "in another way than the anomalies of its training"
    )

    shots: Shots = 4
    seed: int = Field(
        0, ge=0, description="Random seed of the sample of references, of synthetic anomalies and of the training."
    )
    learns_from: Literal["synthetic", "auxiliary"] = Field(
        SYNTHETIC,
        description="synthetic: anomalies made from the references; auxiliary: those of another data set, see section "
        "'auxiliary'.",
    )
    input: Input = Field(
        "residual",
        description="Input of the head for a patch q and the nearest normal one n: residual for |q - n|, concatenated "
        "for q and |q - n|, sum for q + |q - n| (AdaptCLIP).",
    )
    combine: Literal["harmonic", "head"] = Field(
        "harmonic",
        description="The map: harmonic mean of the output of the head and the distance to the nearest patch "
        "(AdaptCLIP), or the output of the head alone.",
    )
    steps: int = Field(100, ge=1, description="Number of steps of the training, of four images each.")
    rate: float = Field(1e-3, gt=0, le=1, description="Highest learning rate; it falls to zero along a cosine.")
    synthetic_images: int = Field(
        40, ge=1, description="Number of images with synthetic anomalies, with 'learns_from: synthetic'."
    )
    recipes: tuple[Recipe, ...] = Field(
        ALL_RECIPES,
        min_length=1,
        description="Recipes of synthetic anomalies, with 'learns_from: synthetic'; see docs/learned.md.",
    )
    layers: Layers = None

    @model_validator(mode="after")
    def _weights_fit(self) -> Self:
        given = next((name for name in ("weights", "trained_on") if getattr(self, name) is not None), None)
        if given and not self.learns_elsewhere:
            raise ValueError(
                f"'{given}' is only for training on an auxiliary data set; also set 'learns_from: auxiliary'"
            )
        if self.draw != "random" and not self.learns_elsewhere:
            raise ValueError(f"synthetic anomalies need randomly sampled references; leave 'draw: {self.draw}' out")
        return self

    @property
    def setting(self) -> str:
        """``few-shot-K`` or ``full-shot``, and the auxiliary data set of the training."""
        own = super().setting
        if not self.learns_elsewhere:
            return own
        return with_auxiliary(own, [self.trained_on]) if self.trained_on else f"{own}+auxiliary"

    @property
    def learns_elsewhere(self) -> bool:
        """Whether it learns from an auxiliary data set."""
        return self.learns_from == AUXILIARY

    @property
    def own_image_scores(self) -> bool:
        """True: it has an image head."""
        return True

    def feature_sets(self) -> dict[str, FeatureSet]:
        """The test images, the references, and the synthetic images if it learns from them."""
        sets = ReferenceScorer.feature_sets(self)
        if self.learns_elsewhere:
            return sets
        made = synthetic_subset(self.shots, self.seed, self.synthetic_images, self.recipes)
        return {**sets, SYNTHETIC: FeatureSet(made)}

    def training_sets(self) -> dict[str, FeatureSet]:
        """Labelled images, and the same number of references; nothing if it learns from synthetic images."""
        if not self.learns_elsewhere:
            return {}
        return {**TrainedScorer.training_sets(self), REFERENCES: ReferenceScorer.feature_sets(self)[REFERENCES]}

    def fewest_references(self) -> int:
        """One; two if a synthetic image needs another reference to be compared with."""
        return 1 if self.learns_elsewhere else 2

    def fit_refusal(self, references: Shown, scored: Shown) -> str:
        """A sentence if there is a single reference and the anomalies are synthetic."""
        found = len(set(map(base_id, references.image_ids)))
        if found >= self.fewest_references():
            return ""
        return (
            "synthetic anomalies need at least 2 references, one to make them from and one to compare with, but there "
            f"is {found}; raise 'shots', or set 'learns_from: auxiliary'"
        )

    def foreign_weights(self, facts: Mapping[str, Any]) -> str:
        """Also rejects weights of a head with another ``input``."""
        if (reason := TrainedScorer.foreign_weights(self, facts)) or facts.get("input") == self.input:
            return reason
        return other_value("input", facts.get("input"), self.input)

    def operations(self, tokens: Mapping[str, TokenCount]) -> float:
        """Operations for all pairs of test and reference patches, and for the head at each layer of each image.

        With a training, also for the pairs of its images, and for the head, forwards and backwards, at each step.
        """
        test, references = tokens["test"], tokens[REFERENCES]
        known = float(references.images) * references.patches * references.layers
        compared = pair_operations(float(test.images) * test.patches * known, test.channels)
        head = head_operations(input_channels(test.channels, self.input)) * test.patches * test.images * test.layers
        return super().operations(tokens) + compared + head + self._training_operations(tokens, known)

    def _training_operations(self, tokens: Mapping[str, TokenCount], known: float) -> float:
        made = tokens.get(SYNTHETIC)
        if made is None:
            return 0.0
        return self._learning(made, made.images + min(made.images, tokens[REFERENCES].images), known)

    def training_operations(self, tokens: Mapping[str, TokenCount]) -> float:
        """Operations for reading, for the pairs of the sampled images, and for the head at each step."""
        images, references = tokens[IMAGES], tokens[REFERENCES]
        beside = references.images if self.shots == ALL else min(self.shots, references.images)
        known = float(beside) * references.patches * references.layers
        return super().training_operations(tokens) + self._learning(images, images.images, known)

    def training_bytes(self, tokens: Mapping[str, TokenCount]) -> float:
        """Bytes of the patches of all references, and of a step."""
        return 4.0 * (tokens[REFERENCES].values + self._kept(tokens[IMAGES], BATCH))

    def _learning(self, shown: TokenCount, images: int, known: float) -> float:
        """Operations for comparing so many images, or as many as are sampled, and for all steps."""
        drawn = min(images, BATCH * self.steps)
        compared = pair_operations(float(drawn) * shown.patches * known, shown.channels)
        there_and_back = 3 * head_operations(input_channels(shown.channels, self.input))
        return compared + there_and_back * shown.patches * BATCH * self.steps

    def _kept(self, shown: TokenCount, images: int) -> float:
        """Numbers that the head stores for so many images at a time."""
        return float(images) * shown.patches * head_values(input_channels(shown.channels, self.input))

    def working_bytes(self, tokens: Mapping[str, TokenCount]) -> float:
        """Bytes of the patches of the references, and of a training step or of the head on an image."""
        largest = max((count for count in tokens.values()), key=lambda count: count.patches)
        return 4.0 * (tokens[REFERENCES].values + self._kept(largest, BATCH if SYNTHETIC in tokens else 1))

    def train(self, categories: Sequence[AuxiliaryCategory], compute: Compute) -> Learned:
        """Learn from the labelled images of an auxiliary data set and the references of their categories."""
        known, layers = [], []
        for category in categories:
            if category.references is None:
                raise DataError(f"category '{category.name}' of the auxiliary data set has no references")
            layers = layer_indices(category.references, self.layers)
            share = compute._replace(memory=compute.memory // len(categories))
            known.append(NearestPatches(category.references, range(len(category.references)), layers, share))
        summary = summarise_training_images(
            LabelledImages(categories, self.layers), "the map is the distance to the nearest normal patch"
        )
        return self._learned(auxiliary_examples(categories, known), layers, summary.notes, compute)

    def fit(self, references: TokenSource, indices: Sequence[int], compute: Compute) -> HeadAndReferences:
        """The head, trained on synthetic images or elsewhere, and the patches of the references."""
        self.check_fit(references, indices)
        layers = layer_indices(references, self.layers)
        known = NearestPatches(references, indices, layers, compute)
        if self.learns_elsewhere:
            learned = self.learned_for(references)
        else:
            rng = generator(self.seed, "references as normal images")
            examples = synthetic_examples(references, indices, known, rng)
            learned = self._learned(examples, layers, [], compute)
        return HeadAndReferences(learned, _head(learned, compute.device), references, indices, layers, known)

    def _learned(
        self, examples: Sequence[Example], layers: Sequence[int], notes: Sequence[str], compute: Compute
    ) -> Learned:
        """Train the head on examples."""
        from zsad.adaptation.residual_head import train_head

        channels = examples[0].tokens.channels
        shown = ResidualExamples(examples, layers, FINER, compute.device)
        schedule = Schedule(self.steps, self.rate)
        head, course = train_head(shown, channels, self.input, schedule, seed=self.seed, device=compute.device)
        tensors = arrays_of(head)
        facts = {
            "method": SCORERS.name_of(self),
            "learns_from": self.learns_from,
            "input": self.input,
            "channels": channels,
            "localises": shown.are_marked,
            "seed": self.seed,
            "steps": course.steps,
            "parameters": sum(parameter.numel() for parameter in head.parameters()),
            "notes": list(notes),
        }
        return Learned(tensors, facts)

    def training(self, model: HeadAndReferences) -> dict[str, Any]:
        """See `zsad.files.training_facts.training_of`."""
        return training_of(model.learned)

    def store(self, model: HeadAndReferences, writer: FittedWriter) -> None:
        """Store the weights of the head, and the tokens of the references."""
        store_weights(writer, model.learned)
        store_tokens(writer, model.source, model.indices, model.layers)

    def restore(self, reader: FittedReader, compute: Compute) -> HeadAndReferences:
        """The head and the patches of the references, read in pieces if they do not fit the memory."""
        learned = stored_weights(reader)
        if learned.facts.get("channels") != reader.channels or (reason := self.foreign_weights(learned.facts)):
            raise reader.foreign(reason or "its weights do not fit its tokens")
        tokens = StoredTokens(reader, kept_layers(reader, self.layers))
        indices, layers = range(len(tokens)), range(tokens.layer_count)
        known = NearestPatches(tokens, indices, layers, compute)
        return HeadAndReferences(learned, _head(learned, compute.device), tokens, indices, layers, known)

    def score_by(
        self, model: HeadAndReferences, features: TokenSource, indices: Sequence[int], compute: Compute
    ) -> Iterator[ImageScore]:
        """Yield ``S`` of each image, in order, and its score; in groups if the references do not fit the memory."""
        layers = layer_indices(features, self.layers)
        largest = int(features.grid_sizes.prod(axis=1)[list(indices)].max())
        together = model.known.together(largest)
        for start in range(0, len(indices), together):
            some = indices[start : start + together]
            images = [unit_tokens(features, index, layers, compute.device) for index in some]
            for index, tokens, nearest in zip(some, images, model.known.find(images), strict=True):
                normal = [model.known.tokens(nearest, layer).reshape(tokens[0].shape) for layer in range(len(tokens))]
                yield self._scored(model, index, tokens, torch.stack(normal))

    def _scored(self, model: HeadAndReferences, index: int, tokens: torch.Tensor, normal: torch.Tensor) -> ImageScore:
        """The score of one image.

        Args:
            tokens, normal: its unit tokens and the nearest normal ones, ``[layer, row, column, channel]``.
        """
        from zsad.adaptation.residual_head import answer, head_input

        distance = ((tokens - normal).square().sum(dim=3) / 2).mean(dim=0)
        inputs = [head_input(*pair, self.input) for pair in zip(tokens, normal, strict=True)]
        output = answer(model.head, inputs)
        likely = torch.nn.functional.avg_pool2d(output.cells[None], FINER)[0]
        if not model.learned.facts["localises"]:
            likely = distance
        anomaly_map = likely if self.combine == "head" else harmonic_mean(likely, distance)
        largest = anomaly_map.max().double()
        image = harmonic_mean(torch.tensor(output.image, dtype=torch.float64), largest.cpu())
        return ImageScore(index, anomaly_map.cpu().numpy(), image_score=float(image))


def harmonic_mean(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """``2 a b / (a + b)`` of numbers that are not negative; 0 where either is."""
    total = one + other
    return torch.where(total > 0, 2 * one * other / total.where(total > 0, 1), 0)


def _head(learned: Learned, device: str) -> ResidualHead:
    """A head with given weights."""
    from zsad.adaptation.residual_head import ResidualHead

    head = ResidualHead(input_channels(int(learned.facts["channels"]), learned.facts["input"]))
    load_arrays(head, learned.tensors)
    return head.to(device)
