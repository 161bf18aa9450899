"""Scorers take tokens in memory as they take a feature file."""

from pathlib import Path

import numpy as np
import pytest

from auxiliary_sets import ready
from feature_files import random_tokens, write_features
from made_images import made_of
from small_methods import ALIGNED, small
from text_files import asked_of, layers_for
from zsad.data.subsets import base_id
from zsad.errors import DataError
from zsad.files.features import FeatureReader
from zsad.scoring.base import ImageScore
from zsad.scoring.compute import Compute
from zsad.scoring.gmm import GMM
from zsad.scoring.memory_bank import MemoryBank
from zsad.scoring.references import ReferenceScorer
from zsad.scoring.registry import SCORERS
from zsad.scoring.token_source import MemoryTokens

GRIDS = [(6, 7), (7, 6), (6, 6)]
ANGLES = ["@000", "@045", "@090"]


def same(found: list[ImageScore], expected: list[ImageScore]) -> None:
    assert [(score.index, score.note, score.image_score) for score in found] == [
        (score.index, score.note, score.image_score) for score in expected
    ]
    for one, other in zip(found, expected, strict=True):
        assert (one.anomaly_map is None) == (other.anomaly_map is None)
        if one.anomaly_map is not None:
            assert one.anomaly_map.tobytes() == other.anomaly_map.tobytes()


@pytest.mark.parametrize("name", SCORERS.names())
def test_every_scorer_gives_the_same_scores_to_the_bit(tmp_path, name):
    scorer = SCORERS.build(name, small(name))
    files, memory = {}, {}
    for seed, (role, wanted) in enumerate(scorer.feature_sets().items()):
        if wanted.subset == "test":
            grids = [(6, 7)] * 3 if name in ALIGNED else GRIDS
            tokens, ids = random_tokens(seed, *grids), [f"test/{number}.png" for number in range(3)]
        else:
            tokens = random_tokens(seed, *[(6, 7)] * 12)
            ids = [f"train/{number}.png{angle}" for number in range(4) for angle in ANGLES]
        rng = np.random.default_rng(seed)
        tokens = [image.astype(np.float32) for image in tokens]
        cls = rng.normal(size=(len(tokens), *tokens[0].shape[::3])).astype(np.float32)
        names = layers_for(scorer, 2)
        scorer = ready(scorer, tmp_path, layers=names, channels=6, cls_source="mean of patch tokens")
        texts = asked_of(scorer, 6) if role == scorer.text_role else None
        path = write_features(tmp_path / f"{role}.h5", tokens, ids, cls_tokens=cls, names=names)
        files[role] = FeatureReader(path, texts=texts)
        memory[role] = MemoryTokens(tokens, cls, ids, names, cls_source="mean of patch tokens", texts=texts)
    if "synthetic" in files:
        for sources in (files, memory):
            sources["references"].synthetic = made_of(sources["references"])
    try:
        same(list(scorer.score(memory, Compute())), list(scorer.score(files, Compute())))
        if isinstance(scorer, ReferenceScorer):
            found = list(scorer.score_references(memory, Compute()))
            same(found, list(scorer.score_references(files, Compute())))
            assert {base_id(memory["references"].image_ids[score.index]) for score in found} == {
                f"train/{number}.png" for number in range(4)
            }
    finally:
        for reader in files.values():
            reader.close()


def test_it_reads_as_the_file_reads(tmp_path):
    tokens = random_tokens(0, *GRIDS)
    memory = MemoryTokens(tokens, image_ids=[f"test/{number}.png" for number in range(3)])
    with FeatureReader(write_features(tmp_path / "test.h5", tokens)) as file:
        assert len(memory) == len(file)
        for name in ("image_ids", "layers", "channels", "cls_source", "foreground"):
            assert getattr(memory, name) == getattr(file, name)
        np.testing.assert_array_equal(memory.grid_sizes, file.grid_sizes)
        np.testing.assert_array_equal(memory.cls_tokens(), file.cls_tokens())
        for index in range(3):
            for read in ("half_tokens", "patch_tokens", "cls_tokens_of"):
                found, expected = (getattr(source, read)(index) for source in (memory, file))
                assert found.dtype == expected.dtype
                np.testing.assert_array_equal(found, expected)


def test_a_notebook_needs_arrays_alone():
    good = random_tokens(1, (4, 5), (4, 5))
    (score,) = MemoryBank(rotations=False).score(
        {"test": MemoryTokens(good[:1]), "references": MemoryTokens(good)}, Compute()
    )
    np.testing.assert_allclose(score.anomaly_map, np.zeros((4, 5)), atol=1e-6)


ONE = np.ones((2, 3, 4, 5))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (([],), "must be arrays"),
        (([np.ones((3, 4, 5))],), "must be arrays"),
        (([np.ones((2, 0, 4, 5))],), "none empty"),
        (([ONE, np.ones((1, 3, 4, 5))],), "2 layers of 5 channels"),
        (([ONE, np.ones((2, 3, 4, 6))],), "2 layers of 5 channels"),
        (([ONE], np.ones((1, 5))), "class tokens of shape"),
        (([ONE], np.full((1, 2, 5), np.nan)), "not finite"),
        (([ONE.astype(str)],), "tokens in memory, image 0, are <U32, not real numbers"),
        (([ONE, ONE + 1j],), "image 1, are complex128"),
        (([[[[[1.0], [1.0, 2.0]]]]],), "image 0, cannot be read as one array"),
        (([ONE], [["a"]]), "the class tokens, are <U1"),
        (([ONE * 1e6],), "the features of 0 are not finite"),
        (([ONE], None, ["a", "b"]), "have 1 images, but 2 names"),
        (([ONE], None, None, ["8"]), "have 2 layers, but 1 names"),
    ],
)
def test_what_is_no_tokens_is_one_sentence(arguments, expected):
    with pytest.raises(DataError, match=expected):
        MemoryTokens(*arguments)


def test_messages_name_tokens_in_memory():
    tokens = MemoryTokens([ONE], path=Path("photograph.jpg"))
    with pytest.raises(ValueError, match=r"for photograph\.jpg"):
        list(MemoryBank(foreground="sam", rotations=False).score({"test": tokens, "references": tokens}, Compute()))


def test_too_few_references_are_one_sentence():
    tokens = MemoryTokens([ONE])
    with pytest.raises(DataError, match="at least 3 references"):
        list(GMM().score({"test": tokens, "references": tokens}, Compute()))
