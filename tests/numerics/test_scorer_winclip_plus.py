"""WinCLIP+ against plain loops over windows, patches and references, and what comes back from its model."""

import numpy as np
import pytest
from test_scorer_winclip import reference, spread

from closeness import assert_close
from fitted_files import fitted_file
from text_files import made_up_texts, windowed_tokens
from zsad.errors import DamagedFileError, DataError
from zsad.scoring.base import Shown
from zsad.scoring.compute import Compute
from zsad.scoring.cost import TokenCount
from zsad.scoring.fitted import load_fitted
from zsad.scoring.image_level import ImageScoring
from zsad.scoring.token_source import MemoryTokens
from zsad.scoring.winclip_plus import WinClipPlus

GRIDS = [(4, 5), (3, 4)]
OF_REFERENCES = [(3, 4), (5, 3), (4, 4)]
COMPUTE = Compute()


def unit(vector):
    vector = vector.astype(np.float64)
    return vector / np.sqrt(vector @ vector)


def vectors_of(features, index, side):
    """The windows of an image by their top left patches; patches, where ``side`` is None."""
    layer = features.patch_tokens(index)[features.layers.index("patches" if side is None else f"window{side}")]
    rows, columns = features.grid_sizes[index]
    beyond = 0 if side is None else side - 1
    return {(r, c): unit(layer[r, c]) for r in range(rows - beyond) for c in range(columns - beyond)}


def seen(features, index, references, sides):
    """The mean over scales and patches of half the least cosine distance."""
    rows, columns = features.grid_sizes[index]
    total = np.zeros((rows, columns))
    for side in (*sides, None):
        known = [vector for other in range(len(references)) for vector in vectors_of(references, other, side).values()]
        distances = {
            place: min(1 - vector @ its for its in known) / 2
            for place, vector in vectors_of(features, index, side).items()
        }
        if side is None:
            total += np.array([[distances[r, c] for c in range(columns)] for r in range(rows)])
        else:
            total += spread(distances, side, rows, columns)
    return total / (len(sides) + 1)


@pytest.mark.parametrize("memory", [10**9, 3000], ids=["memory", "little memory"])
@pytest.mark.parametrize(("sides", "scales"), [((2, 3), None), ((1, 2, 3), (3, 1)), ((2,), None)])
@pytest.mark.parametrize(("combine", "shots"), [("sum", 1), ("mean", 3)])
def test_scores_equal_plain_loops(sides, scales, combine, shots, memory):
    texts = made_up_texts(0, 6)
    features = windowed_tokens(1, GRIDS, sides=sides)
    references = windowed_tokens(2, OF_REFERENCES[:shots], sides=sides, split="train", texts=texts)
    scorer = WinClipPlus(shots=shots, scales=scales, combine=combine)
    found = list(scorer.score({"test": features, "references": references}, Compute(memory=memory)))
    assert [score.index for score in found] == [0, 1]
    for index, score in enumerate(found):
        whole, told = reference(features, index, texts, "raw", 0.07, scales or sides)
        visual = seen(features, index, references, scales or sides)
        expected = told + visual if combine == "sum" else (told + visual) / 2
        assert score.anomaly_map.dtype == np.float32
        assert_close(score.anomaly_map, expected, size=1.0, share=1e-5)
        assert score.image_score == pytest.approx((whole + visual.max()) / 2, abs=1e-5)


def test_the_image_score_is_its_own_and_is_kept():
    texts = made_up_texts(3, 6)
    roles = {"test": windowed_tokens(4, [(4, 4)]), "references": windowed_tokens(5, [(4, 4)], texts=texts)}
    (score,) = WinClipPlus().score(roles, COMPUTE)
    assert ImageScoring(aggregate="mean").complete(score).image_score == score.image_score


def test_an_image_that_is_a_reference_has_seen_itself():
    texts = made_up_texts(6, 6)
    references = windowed_tokens(7, OF_REFERENCES, split="train", texts=texts)
    alone = windowed_tokens(7, OF_REFERENCES, split="test")
    for index, score in enumerate(WinClipPlus(shots=3).score({"test": alone, "references": references}, COMPUTE)):
        whole, told = reference(alone, index, texts, "raw", 0.07, (2, 3))
        assert_close(score.anomaly_map, told, size=1.0, share=1e-6)
        assert score.image_score == pytest.approx(whole / 2, abs=1e-6)


def test_each_reference_is_compared_with_others_alone():
    texts = made_up_texts(8, 6)
    references = windowed_tokens(9, OF_REFERENCES, split="train", texts=texts)
    crossed = list(WinClipPlus(shots=3).score_references({"references": references}, COMPUTE))
    assert len(crossed) == 3
    for score in crossed:
        others = [index for index in range(3) if index != score.index]
        known = MemoryTokens(
            [references.half_tokens(index) for index in others],
            references.cls_tokens()[others],
            None,
            references.layers,
        )
        whole, told = reference(references, score.index, texts, "raw", 0.07, (2, 3))
        visual = seen(references, score.index, known, (2, 3))
        assert_close(score.anomaly_map, told + visual, size=1.0, share=1e-5)
        assert score.image_score == pytest.approx((whole + visual.max()) / 2, abs=1e-5)


def test_what_lies_beyond_the_windows_of_a_layer_is_compared_with_nothing():
    texts = made_up_texts(10, 6)
    features, references = windowed_tokens(11, [(4, 5)]), windowed_tokens(12, [(3, 4)], texts=texts)

    def littered(source):
        tokens = source.patch_tokens(0)
        tokens[0, -1], tokens[0, :, -1], tokens[1, -2:], tokens[1, :, -2:] = 7, -7, 8, -8
        return MemoryTokens([tokens], source.cls_tokens(), source.image_ids, source.layers, texts=source.texts)

    found = [
        next(iter(WinClipPlus().score({"test": test, "references": known}, COMPUTE))).anomaly_map
        for test, known in ((features, references), (littered(features), littered(references)))
    ]
    assert_close(found[1], found[0], size=1.0, share=1e-6)


def test_a_model_needs_no_texts_and_holds_the_scores_of_its_references(tmp_path):
    texts = made_up_texts(13, 6)
    references = windowed_tokens(14, OF_REFERENCES, split="train", texts=texts)
    test = windowed_tokens(15, GRIDS)
    scorer = WinClipPlus(shots=3, averaging="normalised", scales=(3,))
    fresh = list(scorer.score({"test": test, "references": references}, COMPUTE))
    path = fitted_file(tmp_path / "model.h5", references, scorer, COMPUTE)
    with load_fitted(path, COMPUTE) as fitted:
        assert fitted.provenance["setting"] == "few-shot-3"
        assert fitted.reference_ids == references.image_ids
        assert [score.image_score for score in fitted.score(test)] == [score.image_score for score in fresh]


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("classes", np.ones((3, 6), np.float32)),
        ("classes", np.ones((2, 9), np.float32)),
        ("classes", np.full((2, 6), np.nan, np.float32)),
    ],
)
def test_a_model_whose_texts_do_not_fit_is_refused(name, change, tmp_path):
    references = windowed_tokens(16, OF_REFERENCES, split="train", texts=made_up_texts(17, 6))
    path = fitted_file(tmp_path / "model.h5", references, WinClipPlus(shots=3), COMPUTE)
    replace_array(path, name, change)
    with pytest.raises(DamagedFileError):
        load_fitted(path, COMPUTE)


def replace_array(path, name, array):
    import h5py

    with h5py.File(path, "r+") as file:
        del file["fit"][name]
        file["fit"].create_dataset(name, data=array)


def test_references_without_windows_patches_or_texts_are_refused():
    test = windowed_tokens(18, [(4, 4)])
    bare = windowed_tokens(19, [(4, 4)])
    with pytest.raises(DataError, match="comes without texts"):
        list(WinClipPlus().score({"test": test, "references": bare}, COMPUTE))
    texts = made_up_texts(20, 6)
    small = windowed_tokens(21, [(4, 4), (2, 4)], texts=texts, split="train")
    with pytest.raises(DataError, match=r"train/1.png has 2 x 4 patches, fewer than a window of 3 x 3"):
        list(WinClipPlus(shots=2).score({"test": test, "references": small}, COMPUTE))
    without = MemoryTokens([np.ones((1, 3, 3, 8))], layers=["window2"], texts=texts)
    with pytest.raises(DataError, match="the features have no layer 'patches' beside windows"):
        list(WinClipPlus().score({"test": without, "references": without}, COMPUTE))
    plain = MemoryTokens([np.ones((1, 3, 3, 8))], layers=["4"], texts=texts)
    with pytest.raises(DataError, match="the features have no windows"):
        list(WinClipPlus().score({"test": plain, "references": plain}, COMPUTE))


def test_references_and_images_are_each_asked_for_their_size_beforehand():
    names = ["window2", "window3", "patches"]
    large, small = Shown(["a"], [(3, 4)], names, 8), Shown(["b"], [(4, 2)], names, 8)
    scorer = WinClipPlus()
    assert scorer.refusal({"test": large, "references": large}) == ""
    for roles in ({"test": large, "references": small}, {"test": small, "references": large}):
        assert scorer.refusal(roles).startswith("b has 4 x 2 patches, fewer than a window of 3 x 3")


def test_the_banks_share_the_memory_and_hold_as_many_vectors_as_there_are():
    references = windowed_tokens(22, OF_REFERENCES, split="train", texts=made_up_texts(23, 6))
    model = WinClipPlus(shots=3).fit(references, range(3), Compute(memory=10**6))
    windows = {side: sum((r - side + 1) * (c - side + 1) for r, c in OF_REFERENCES) for side in (2, 3, 1)}
    assert [(side, bank.least_candidates()) for side, bank in model.banks] == list(windows.items())
    assert {bank.compute.memory for _, bank in model.banks} == {10**6 // 3}
    for side, bank in model.banks:
        shapes = [bank.source.half_tokens(index).shape[1:3] for index in range(3)]
        assert [tuple(grid) for grid in bank.source.grid_sizes] == shapes, side


def test_the_setting_and_what_is_read():
    scorer = WinClipPlus(shots=4, seed=2)
    assert (scorer.setting, WinClipPlus(shots="all").setting) == ("few-shot-4", "full-shot")
    assert WinClipPlus(text_prompts="a.pth", trained_on="visa").setting == "few-shot-1+auxiliary(visa)"
    assert scorer.feature_sets() == {"test": ("test", "original"), "references": ("references-k4-seed2", "original")}
    assert (WinClipPlus.text_role, WinClipPlus.fitted_roles) == ("references", ("references",))
    assert (WinClipPlus.reads_windows, WinClipPlus().own_image_scores) == (True, True)


def test_each_vector_is_compared_with_those_of_the_references():
    test = TokenCount(images=5, patches=7, layers=3, channels=11)
    references = test._replace(images=4, patches=6)
    read = sum(100 * 11 for _ in range((5 * 7 + 4 * 6) * 3))
    pairs = sum(4 * 6 for _ in range(5 * 7 * 3))
    cosines = sum(2 * 2 * 11 for _ in range(5 * 7 * 3))
    both = {"test": test, "references": references}
    assert WinClipPlus().operations(both) == read + cosines + pairs * (2 * 11 + 40)
    assert WinClipPlus().working_bytes(both) == 4 * 4 * 6 * 3 * 11
