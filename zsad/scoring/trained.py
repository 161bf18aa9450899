"""Base class of scorers that learn from the defects of an auxiliary data set, never of the one under test."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Self, TypeVar

import numpy as np
from pydantic import AfterValidator, Field

from zsad.data.subsets import FeatureSet
from zsad.errors import DataError
from zsad.files.learned import Learned, read_learned
from zsad.files.training_facts import training_of
from zsad.files.user_paths import UserPath
from zsad.names import AUXILIARY, with_auxiliary
from zsad.scoring.base import Scorer
from zsad.scoring.cost import VALUE
from zsad.scoring.data_set_name import check_name
from zsad.scoring.registry import SCORERS
from zsad.scoring.same_features import difference, feature_facts

if TYPE_CHECKING:
    from zsad.scoring.compute import Compute
    from zsad.scoring.cost import TokenCount
    from zsad.scoring.labelled import AuxiliaryCategory
    from zsad.scoring.token_source import TokenSource

AnyScorer = TypeVar("AnyScorer", bound=Scorer)

PASSES: Final = 20  # over all tokens of a training, as the default estimate
FLOAT32: Final = 4  # bytes
IMAGES: Final = "images"  # the role of an auxiliary category's labelled images
PARAMS: Final = "params"  # the fact with the parameters of the trained method
FEATURES: Final = "features"  # the fact with the features that weights were learned from


class TrainedScorer(Scorer):
    """Base class of scorers that are trained on the labelled images of an auxiliary data set.

    The learned weights are a separate file. The workflow makes it with rule ``train_method``, or its path is given.

    Class attributes:
        of_training: parameters of the training; with a given file, those of the file apply.
    """

    of_training: ClassVar[tuple[str, ...]] = ()

    weights: UserPath | None = Field(
        None,
        description="File of weights learned before, e.g. results/NAME/trained/METHOD.safetensors; null to learn from "
        "the data set of the section 'auxiliary'.",
    )
    trained_on: Annotated[str, AfterValidator(check_name)] | None = Field(
        None, description="Name of the auxiliary data set; null for that of the section 'auxiliary' or of the weights."
    )

    @property
    def setting(self) -> str:
        """``zero-shot-auxiliary(NAME)``, or ``zero-shot-auxiliary`` while no data set is named."""
        return with_auxiliary("zero-shot", [self.trained_on]) if self.trained_on else AUXILIARY

    @property
    def learns_elsewhere(self) -> bool:
        """Whether it uses weights learned from an auxiliary data set; false for a variant without them."""
        return True

    def learned_files(self) -> dict[str, str]:
        """The file of weights, if its path is given."""
        return {} if self.weights is None else {"weights": self.weights}

    def feature_sets(self) -> dict[str, FeatureSet]:
        """The test images."""
        return {"test": FeatureSet("test")}

    def training_sets(self) -> dict[str, FeatureSet]:
        """The features of each category of the auxiliary data set that `train` reads, by role.

        ``"images"`` are labelled; ``"references"``, if present, are normal.
        """
        return {IMAGES: FeatureSet("test")}

    def with_weights(self, path: Path) -> Self:
        """The same method with the weights of a file."""
        return self.model_copy(update={"weights": str(path)})

    def training_operations(self, tokens: Mapping[str, TokenCount]) -> float:
        """Approximate number of multiplications and additions of `train`; see `zsad.scoring.cost`.

        Args:
            tokens: tokens of all categories together, by the roles of `training_sets`.
        """
        return PASSES * VALUE * sum(count.values for count in tokens.values())

    def training_bytes(self, tokens: Mapping[str, TokenCount]) -> float:
        """Bytes of `train` with unlimited memory: by default all tokens in float32."""
        return FLOAT32 * sum(count.values for count in tokens.values())

    def as_learned(self, facts: Mapping[str, Any]) -> Self:
        """The same method with the parameters of a training, except those set explicitly; see `foreign_weights`.

        Args:
            facts: of the weights to use.

        Raises:
            ConfigError: the facts have invalid parameters.
        """
        trained = _params_of(facts)
        adopted = {
            name: trained[name] for name in self.of_training if name in trained and name not in self.model_fields_set
        }
        if not adopted:
            return self
        asked = {name: getattr(self, name) for name in self.model_fields_set}
        return type(self).build({**asked, **adopted}, where="the training of the weights")

    @abstractmethod
    def train(self, categories: Sequence[AuxiliaryCategory], compute: Compute) -> Learned:
        """Learn from all categories of an auxiliary data set.

        Args:
            categories: at least one. Among their images are anomalous and normal ones, and all features come from one
                backbone: `zsad.scoring.train_method.learn` checks this.

        Returns:
            Tensors, and the facts that only the method knows: ``"steps"``, ``"parameters"`` (their number), the
            shape of its network, and ``"notes"``, a list of sentences about missing training data. The stage adds the
            method and its parameters, the data set, the images and the features, see `zsad.scoring.train_method`.

        Raises:
            DataError: the method cannot learn from them.
        """

    def learned(self) -> Learned:
        """Read the file of weights.

        Raises:
            DataError: no file is given, or it is absent, damaged or of another method.
        """
        if self.weights is None:
            raise DataError("the method has no weights yet: train it, or give it the 'weights' of a training")
        path = Path(self.weights)
        learned = read_learned(path)
        if reason := self.foreign_weights(learned.facts):
            raise DataError(f"{path} {reason}; train the method again, or give weights of this method")
        return learned

    def learned_for(self, tokens: TokenSource) -> Learned:
        """Read the weights and check that they fit features.

        Raises:
            DataError: see `learned`; or the features come from another backbone, layers or resolution than those of the
                training.
        """
        learned = self.learned()
        check_features(learned.facts, tokens, Path(str(self.weights)))
        return learned

    def learned_tensor(
        self, learned: Learned, name: str, tokens: TokenSource, shape: tuple[int, ...], kind: type[np.generic]
    ) -> np.ndarray:
        """A tensor of weights, checked against tokens.

        Args:
            learned: see `learned_for`.
            shape, kind: that it must have.

        Raises:
            DataError: it is absent or does not fit the tokens.
        """
        tensor = learned.tensors.get(name)
        if tensor is None or tensor.shape != shape or tensor.dtype != kind:
            found = "absent" if tensor is None else f"{tensor.dtype} {list(tensor.shape)}"
            raise DataError(
                f"'{name}' in {self.weights} is {found}, but {tokens.path} needs {kind.__name__} {list(shape)}; train "
                "the method on features of the same backbone"
            )
        return tensor

    def foreign_weights(self, facts: Mapping[str, Any]) -> str:
        """Why weights with such facts do not fit this method as configured, as text after a path; empty if they do."""
        name = SCORERS.name_of(self)
        if facts.get("method") != name:
            return f"holds weights of '{facts.get('method')}', not of '{name}'"
        if self.trained_on is not None and facts.get("trained_on") != self.trained_on:
            return f"was trained on '{facts.get('trained_on')}', not on '{self.trained_on}'"
        trained, asked = _params_of(facts), self.parameters()
        differing = next((each for each in self.of_training if each in trained and trained[each] != asked[each]), None)
        return "" if differing is None else other_value(differing, trained[differing], asked[differing])


def other_value(name: str, trained: Any, asked: Any) -> str:
    """A message that weights were trained with another value of a parameter, as text after a path."""
    return f"was trained with {name} {trained}, not with {asked} (with these weights, leave '{name}' out)"


def _params_of(facts: Mapping[str, Any]) -> Mapping[str, Any]:
    """The parameters of the training in facts; empty if there are none."""
    params = facts.get(PARAMS)
    return params if isinstance(params, Mapping) else {}


def facts_of_weights(scorer: Scorer) -> dict[str, Any]:
    """Facts about the weights of a scorer, see `zsad.files.training_facts`; empty if it has none.

    Raises:
        DataError: see `TrainedScorer.learned`.
    """
    if not isinstance(scorer, TrainedScorer) or not scorer.learns_elsewhere:
        return {}
    return training_of(scorer.learned())


def with_weights(scorer: AnyScorer, path: Path | None) -> AnyScorer:
    """A scorer with the weights of a file; unchanged without one."""
    if path is None:
        return scorer
    if not isinstance(scorer, TrainedScorer):
        raise ValueError(f"{type(scorer).__name__} reads no weights")
    return scorer.with_weights(path)


def check_features(facts: Mapping[str, Any], tokens: TokenSource, path: Path) -> None:
    """Reject features of another backbone, layers or resolution than those that weights were learned from.

    Args:
        facts: of the weights.
        path: of their file, for the message.

    Raises:
        DataError: they differ, as far as known.
    """
    learned_from = facts.get(FEATURES)
    if not isinstance(learned_from, Mapping):
        raise DataError(f"{path} does not say which features it was learned from; train the method again")
    if differing := difference(feature_facts(tokens), learned_from):
        raise DataError(
            f"{tokens.path} and the features that {path} was learned from come from different backbones ({differing}); "
            "score features of the same backbone, layers and resolution, or train the method again"
        )
