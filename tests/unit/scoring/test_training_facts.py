"""What is told of trainings from the weights to the evaluation, and how weights come to what applies them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feature_files import write_features
from fitted_files import fit_to_file
from learning_toys import BACKBONE, CHANNELS, Drift, Leaning, category_files, planted, toys
from toy_trained import NO_MASKS, Direction
from zsad.errors import DataError
from zsad.files.fitted import FittedReader
from zsad.files.learned import Learned, read_learned, weights_sha256, write_learned
from zsad.files.scores import ScoreReader
from zsad.scoring.base import Scorer
from zsad.scoring.compute import Compute
from zsad.scoring.fitted import load_fitted
from zsad.scoring.fuse_scores import fuse_scores
from zsad.scoring.fusion import Fusion
from zsad.scoring.image_level import ImageScoring
from zsad.scoring.score_images import score_images
from zsad.scoring.self_similarity import SelfSimilarity
from zsad.scoring.stored_weights import stored_weights
from zsad.scoring.train_method import train_method
from zsad.scoring.trained import TrainedScorer

pytestmark = pytest.mark.usefixtures("toys")
__all__ = ["toys"]
PLAIN = Compute()


def trained(folder: Path, scorer: TrainedScorer | None = None, **options: Any) -> Path:
    """Weights that were learned on two categories of another data set."""
    files = [category_files(folder, name, [0, 1], **options) for name in ("ring", "nut")]
    output = folder / "w.safetensors"
    train_method(categories=files, scorer=scorer or Direction(), compute=PLAIN, output=output, trained_on="other")
    return output


def under_test(folder: Path, labels: tuple[int, ...] = (0, 1, 1), **provenance: Any) -> Path:
    ids = [f"test/{index}.png" for index in range(len(labels))]
    tokens = planted(9, labels)[0]
    return write_features(folder / "test.h5", tokens, ids, names=["last"], **{**BACKBONE, **provenance})


def referred(folder: Path, count: int = 4) -> Path:
    ids = [f"train/{index}.png" for index in range(count)]
    return write_features(folder / "references.h5", planted(5, [0] * count)[0], ids, names=["last"], **BACKBONE)


def scored(folder: Path, scorer: Scorer, name: str = "scores.h5", **options: Any) -> Path:
    output = folder / name
    score_images(
        features={"test": folder / "test.h5"},
        scorer=scorer,
        image_scoring=ImageScoring(),
        compute=PLAIN,
        output=output,
        provenance={"stage": "score_images"},
        **options,
    )
    return output


def told(path: Path) -> Any:
    with ScoreReader(path) as reader:
        return reader.provenance.get("training")


def test_scores_by_learned_weights_find_what_was_planted_and_tell_of_the_training(tmp_path: Path) -> None:
    weights, _ = trained(tmp_path, masks=False), under_test(tmp_path)
    path = scored(tmp_path, Direction(trained_on="other"), trained=weights)
    assert told(path) == {
        "seed": 0,
        "steps": 3,
        "parameters": CHANNELS,
        "trained_on": "other",
        "notes": [NO_MASKS],
        "weights_sha256": weights_sha256(read_learned(weights).tensors),
    }
    with ScoreReader(path) as reader:
        assert reader.image_scores[0] < min(reader.image_scores[1:])
        assert reader.setting == "zero-shot-auxiliary(other)"
        params = reader.provenance["scorer"]["params"]
    assert params["weights"] is None  # where the file lay tells nothing


def test_weights_by_their_path_give_the_same_scores(tmp_path: Path) -> None:
    weights, _ = trained(tmp_path), under_test(tmp_path)
    paths = [
        scored(tmp_path, Direction(trained_on="other"), "a.h5", trained=weights),
        scored(tmp_path, Direction(trained_on="other", weights=str(weights)), "b.h5"),
    ]
    assert told(paths[0]) == told(paths[1])
    with ScoreReader(paths[0]) as one, ScoreReader(paths[1]) as other:
        np.testing.assert_array_equal(one.image_scores, other.image_scores)
        assert set(other.provenance["learned_files"]) == {"weights"}


def test_scores_without_training_tell_of_none(tmp_path: Path) -> None:
    under_test(tmp_path)
    assert told(scored(tmp_path, SelfSimilarity(exclusion_radius=0))) is None


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"backbone": {"resolution": 32}}, "resolution: 32 and 64"),
        ({"model": {"id": "cnn"}}, "model: cnn and toy"),
    ],
)
def test_features_that_weights_were_not_learned_from_are_refused(
    tmp_path: Path, other: dict[str, Any], said: str
) -> None:
    weights, _ = trained(tmp_path), under_test(tmp_path, **other)
    with pytest.raises(DataError) as caught:
        scored(tmp_path, Direction(trained_on="other"), trained=weights)
    assert f"({said})" in str(caught.value)
    assert str(weights) in str(caught.value)
    assert "test.h5" in str(caught.value)
    assert not (tmp_path / "scores.h5").exists()


def test_weights_of_another_method_or_data_set_are_refused(tmp_path: Path) -> None:
    weights, _ = trained(tmp_path), under_test(tmp_path)
    with pytest.raises(DataError, match="was trained on 'other', not on 'visa'"):
        scored(tmp_path, Direction(trained_on="visa"), trained=weights)
    write_learned(weights, Learned({"way": np.ones(CHANNELS)}, {"method": "leaning"}))
    with pytest.raises(DataError, match="holds weights of 'leaning', not of 'direction'"):
        scored(tmp_path, Direction(), trained=weights)


def test_without_weights_a_trained_method_scores_nothing(tmp_path: Path) -> None:
    under_test(tmp_path)
    with pytest.raises(DataError, match="the method has no weights yet: train it, or give it the 'weights'"):
        scored(tmp_path, Direction())


def test_weights_for_what_reads_none_are_a_mistake_of_the_program(tmp_path: Path) -> None:
    under_test(tmp_path)
    with pytest.raises(ValueError, match="SelfSimilarity reads no weights"):
        scored(tmp_path, SelfSimilarity(exclusion_radius=0), trained=tmp_path / "w.safetensors")


def test_a_model_records_how_it_was_trained_and_so_do_scores_by_it(tmp_path: Path) -> None:
    under_test(tmp_path)
    scorer = Drift(shots=4, seed=3)
    model = fit_to_file(tmp_path / "model.h5", referred(tmp_path), scorer, PLAIN)
    with FittedReader(model) as reader:
        digest = weights_sha256(stored_weights(reader).tensors)
    training = {"seed": 3, "steps": 5, "parameters": CHANNELS, "weights_sha256": digest}
    with load_fitted(model, PLAIN) as fitted:
        assert fitted.provenance["training"] == training
        assert len(fitted.reference_ids) == 4  # scored by fits to others, in two folds
    path = scored(tmp_path, scorer, model=model)
    assert told(path) == training
    with ScoreReader(path) as reader:
        assert reader.image_scores[0] < min(reader.image_scores[1:])


def test_what_is_fitted_by_weights_needs_them_no_more(tmp_path: Path) -> None:
    weights, _ = trained(tmp_path, Leaning(shots=4)), under_test(tmp_path)
    scorer = Leaning(shots=4, trained_on="other")
    model = fit_to_file(tmp_path / "model.h5", referred(tmp_path), scorer, PLAIN, trained=weights)
    weights.unlink()
    with load_fitted(model, PLAIN) as fitted:
        assert fitted.scorer == scorer
        assert fitted.provenance["scorer"]["params"]["weights"] is None
    assert told(scored(tmp_path, scorer, model=model))["steps"] == 3


def test_references_that_weights_were_not_learned_from_are_refused_by_a_fit(tmp_path: Path) -> None:
    weights = trained(tmp_path, Leaning(shots=4), layer="first")
    with pytest.raises(DataError, match=r"different backbones \(layers: last and first\)"):
        fit_to_file(tmp_path / "model.h5", referred(tmp_path), Leaning(shots=4), PLAIN, trained=weights)
    assert not (tmp_path / "model.h5").exists()


def test_a_fusion_names_the_members_that_were_trained(tmp_path: Path) -> None:
    weights, _ = trained(tmp_path), under_test(tmp_path)
    paths = [
        scored(tmp_path, Direction(trained_on="other"), "a.h5", trained=weights),
        scored(tmp_path, SelfSimilarity(exclusion_radius=0), "b.h5"),
    ]
    fuse_scores(scores=paths, fusion=Fusion(methods=["a", "b"]), output=tmp_path / "c.h5", provenance={})
    assert told(tmp_path / "c.h5") == {"members": {"a": told(paths[0])}}
    fuse_scores(scores=paths[1:] * 2, fusion=Fusion(methods=["b", "d"]), output=tmp_path / "e.h5", provenance={})
    assert told(tmp_path / "e.h5") is None
