"""Fusion against plain loops, and what it must do by its definition."""

import numpy as np
import pytest
from scipy import stats

from closeness import assert_close
from zsad.deciding.base import Evidence
from zsad.deciding.registry import THRESHOLDS
from zsad.errors import ConfigError, DataError
from zsad.files.scores import ScoreReader, ScoreWriter
from zsad.maps import at_image_size
from zsad.scoring.fuse_scores import fuse_scores
from zsad.scoring.fusion import Fusion, MemberScores
from zsad.scoring.scales import robust_scale

IMAGES = 5


def member(seed, shape=(4, 6)):
    rng = np.random.default_rng(seed)
    maps = [rng.gamma(2, 1 + seed, size=shape).astype(np.float32) for _ in range(IMAGES)]
    return MemberScores(maps, np.array([m.max() for m in maps], dtype=np.float64))


def images_alone(seed):
    scores = np.random.default_rng(seed).normal(3, 2, size=IMAGES)
    return MemberScores([], scores)


def fusion(count, **params):
    return Fusion(methods=tuple(f"m{index}" for index in range(count)), **params)


def plain_z(values, score):
    median, upper = np.quantile(values, [0.5, 0.841344746])
    return (score - median) / (upper - median)


def plain_share(values, score):
    return np.mean([1.0 if value < score else 0.5 if value == score else 0.0 for value in values])


def test_robust_z_is_the_weighted_mean_of_deviations_above_the_median_patch():
    members = [member(0), member(1), images_alone(2)]
    weights = (1.0, 2.0, 0.5)
    found = fusion(3, weights=weights).fused(members)
    pooled = [np.concatenate([m.ravel() for m in members[index].maps]).astype(np.float64) for index in (0, 1)]
    pooled.append(members[2].image_scores)
    for index in range(IMAGES):
        z = [plain_z(pooled[m], members[m].maps[index].astype(np.float64)) for m in (0, 1)]
        assert_close(found.maps[index], (z[0] + 2 * z[1]) / 3)
        z = [plain_z(pooled[m], members[m].image_scores[index]) for m in range(3)]
        assert found.image_scores[index] == pytest.approx(np.average(z, weights=weights), abs=1e-9)


@pytest.mark.parametrize(("combine", "over"), [("mean", np.mean), ("max", np.max)])
def test_rank_is_the_share_of_the_batch_below(combine, over):
    members = [member(3), member(4)]
    found = fusion(2, scale="rank", combine=combine).fused(members)
    pooled = [np.concatenate([m.ravel() for m in one.maps]) for one in members]
    for index in range(IMAGES):
        for r, c in np.ndindex(4, 6):
            shares = [plain_share(values, one.maps[index][r, c]) for values, one in zip(pooled, members, strict=True)]
            assert found.maps[index][r, c] == pytest.approx(over(shares), abs=1e-6)
        shares = [plain_share(one.image_scores, one.image_scores[index]) for one in members]
        assert found.image_scores[index] == pytest.approx(over(shares), abs=1e-9)


@pytest.mark.parametrize("scale", ["robust_z", "rank"])
def test_a_change_of_a_members_unit_changes_nothing(scale):
    plain = [member(5), member(6)]
    maps = [8 * m + 16 for m in plain[1].maps]
    changed = plain[1]._replace(maps=maps, image_scores=8 * plain[1].image_scores + 16)
    first, second = (fusion(2, scale=scale).fused([plain[0], other]) for other in (plain[1], changed))
    assert_close(first.maps, second.maps)
    assert_close(first.image_scores, second.image_scores)


def test_image_scores_of_their_own_are_on_their_own_scale():
    first, second = member(20), member(21)._replace(own=True)
    second = second._replace(image_scores=1000 + 5 * second.image_scores)
    found = fusion(2).fused([first, second])
    pooled = [np.concatenate([m.ravel() for m in one.maps]) for one in (first, second)]
    for index in range(IMAGES):
        of_maps = plain_z(pooled[0], first.image_scores[index])
        of_scores = plain_z(second.image_scores, second.image_scores[index])
        assert found.image_scores[index] == pytest.approx((of_maps + of_scores) / 2, abs=1e-6)
    as_maps = fusion(2).fused([first, second._replace(own=False)])
    np.testing.assert_array_equal(found.maps, as_maps.maps)


@pytest.mark.parametrize("scale", ["robust_z", "rank"])
def test_a_constant_map_is_no_abstention_of_image_scores_of_their_own(scale):
    first, second = member(22), member(23)
    flat = [np.full((4, 6), 0.5, dtype=np.float32), *second.maps[1:]]
    own = second._replace(maps=flat, own=True)
    alone = MemberScores([], second.image_scores)
    found = fusion(2, scale=scale).fused([first, own])
    assert_close(found.image_scores, fusion(2, scale=scale).fused([first, alone]).image_scores)
    without = fusion(2, scale=scale).fused([first, own._replace(own=False)])
    np.testing.assert_array_equal(found.maps, without.maps)
    assert abs(found.image_scores[0] - without.image_scores[0]) > 1e-3


@pytest.mark.parametrize("scale", ["robust_z", "rank"])
def test_two_members_that_agree_rank_as_each_does(scale):
    one = member(7)
    found = fusion(2, scale=scale).fused([one, one])
    assert stats.spearmanr(found.image_scores, one.image_scores).statistic == pytest.approx(1)
    for fused, own in zip(found.maps, one.maps, strict=True):
        assert stats.spearmanr(fused.ravel(), own.ravel()).statistic == pytest.approx(1)


@pytest.mark.parametrize("rule", ["robust_tail", "suitable"])
def test_two_members_that_agree_decide_as_each_does(rule):
    one = member(7)
    one.maps[1][2, 2] = one.maps[3][1, 4] = 90
    fused = fusion(2).fused([one, one])
    own, found = (THRESHOLDS.build(rule).decide(Evidence(of.maps, of.image_scores)) for of in (one, fused))
    assert own.decided[[1, 3]].all()
    np.testing.assert_array_equal(found.decided, own.decided)
    for index in range(IMAGES):
        marked = fused.maps[index] > found.pixel[index]
        np.testing.assert_array_equal(marked, one.maps[index] > own.pixel[index])


@pytest.mark.parametrize("combine", ["mean", "max"])
def test_an_image_on_which_a_member_abstains_is_judged_by_the_others(combine):
    first, second = member(8), member(9)
    maps = [np.zeros((4, 6), dtype=np.float32), *second.maps[1:]]
    second = second._replace(maps=maps, image_scores=np.array([0.0, *second.image_scores[1:]]))
    found = fusion(2, combine=combine).fused([first, second])
    alone = fusion(2).fused([first, first])
    assert_close(found.maps[0], alone.maps[0])
    assert found.image_scores[0] == pytest.approx(alone.image_scores[0])


def test_where_every_member_abstains_everything_is_zero_and_nothing_is_flagged():
    zeros = [np.zeros((3, 3), dtype=np.float32)] * IMAGES
    silent = MemberScores(zeros, np.zeros(IMAGES))
    found = fusion(2).fused([silent, silent])
    assert not np.any(found.maps)
    assert not found.image_scores.any()
    assert not THRESHOLDS.build("suitable").decide(Evidence(found.maps, found.image_scores)).decided.any()


def test_a_map_that_is_mostly_zero_has_a_scale():
    sparse = [np.zeros((6, 6), dtype=np.float32) for _ in range(IMAGES)]
    for index, anomaly_map in enumerate(sparse):
        anomaly_map[2, 3] = 1 + index
    one = MemberScores(sparse, np.arange(IMAGES) + 1.0)
    found = fusion(2).fused([one, one])
    assert np.isfinite(found.maps).all()
    assert found.maps[3].argmax() == 2 * 6 + 3


def test_where_most_values_are_equal_their_standard_deviation_is_the_scale():
    values = np.array([3.0] * 18 + [7.0, 9.0])
    assert robust_scale(values)([3, 9]).tolist() == pytest.approx([0, 6 / np.std(values)])
    assert robust_scale(np.full(5, 3.0))([3, 4]).tolist() == [0, 1]


def test_coarser_maps_are_brought_to_the_finest_grid():
    fine, coarse = member(10, (8, 12)), member(11, (4, 6))
    found = fusion(2).fused([fine, coarse])
    scaled = [plain_z(np.concatenate([m.ravel() for m in one.maps]), one.maps[1]) for one in (fine, coarse)]
    assert_close(found.maps[1], (scaled[0] + at_image_size(scaled[1], 8, 12)) / 2)


def test_permuting_the_batch_permutes_the_scores():
    members = [member(12), member(13)]
    order = [3, 0, 4, 1, 2]
    permuted = [
        one._replace(maps=[one.maps[i] for i in order], image_scores=one.image_scores[order]) for one in members
    ]
    straight, turned = fusion(2).fused(members), fusion(2).fused(permuted)
    assert_close(turned.maps, np.array(straight.maps)[order])
    np.testing.assert_allclose(turned.image_scores, straight.image_scores[order], atol=1e-9)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (["zero-shot-single", "zero-shot-single"], "zero-shot-batch"),
        (["zero-shot-single", "few-shot-4", "few-shot-16"], "few-shot-16"),
        (["few-shot-16", "full-shot"], "full-shot"),
        (["zero-shot-batch", "zero-shot-text"], "zero-shot-text"),
        (["zero-shot-single", "zero-shot-auxiliary(visa)"], "zero-shot-auxiliary(visa)"),
        (["zero-shot-auxiliary(visa)", "zero-shot-auxiliary(btad)"], "zero-shot-auxiliary(btad+visa)"),
        (["zero-shot-auxiliary(visa)", "few-shot-4"], "few-shot-4+auxiliary(visa)"),
        (["full-shot", "few-shot-4+auxiliary(visa)"], "full-shot+auxiliary(visa)"),
    ],
)
def test_a_fusion_sees_the_batch_and_what_its_members_see(settings, expected):
    assert fusion(len(settings)).setting_of(settings) == expected


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"methods": ["a"]}, "at least two different"),
        ({"methods": ["a", "a"]}, "at least two different"),
        ({"methods": ["a", "b"], "weights": [1]}, "2 methods but 1 weights"),
        ({"methods": ["a", "b"], "weights": [0, 0]}, "or all zero"),
        ({"methods": ["a", "b"], "weights": [-1, 2]}, "not be negative"),
        ({"methods": ["a", "b"], "weights": [1, 1], "combine": "max"}, "weights need combine: mean"),
        ({}, "methods"),
    ],
)
def test_what_makes_no_fusion_is_refused_in_one_sentence(params, message):
    with pytest.raises(ConfigError, match=message) as caught:
        Fusion.build(params, where="methods.both.params")
    assert "\n" not in str(caught.value)


def write_scores(path, scores, setting="zero-shot-single", note="", ids=None):
    shape = scores.maps[0].shape if scores.maps else (2, 2)
    ids = ids or [f"test/{index}.png" for index in range(IMAGES)]
    with ScoreWriter(
        path,
        ids,
        {"image_list_sha256": "abc", **({"own_image_scores": True} if scores.own else {})},
        grid_sizes=[shape] * IMAGES,
        setting=setting,
        localises=bool(scores.maps),
    ) as writer:
        for index, score in enumerate(scores.image_scores):
            anomaly_map = scores.maps[index] if scores.maps else np.full(shape, score)
            writer.write(index, anomaly_map, score, seconds=0.5, note=note if index == 1 else "")
    return path


def test_the_file_of_a_member_says_whether_its_image_scores_are_its_own(tmp_path):
    members = [member(24), member(25)._replace(own=True)]
    members[1] = members[1]._replace(image_scores=members[1].image_scores + 100)
    files = [write_scores(tmp_path / f"{number}.h5", one) for number, one in enumerate(members)]
    with fuse(tmp_path, *files) as found:
        assert_close(found.image_scores, fusion(2).fused(members).image_scores)


def fuse(folder, *files, count=2):
    output = folder / "fused.h5"
    fuse_scores(scores=files, fusion=fusion(count), output=output, provenance={"stage": "fuse_scores"})
    return ScoreReader(output)


def test_the_file_of_a_fusion_is_a_score_file_with_notes_seconds_and_provenance(tmp_path):
    members = [member(14), images_alone(15)]
    first = write_scores(tmp_path / "a.h5", members[0], note="not symmetric")
    second = write_scores(tmp_path / "b.h5", members[1], setting="full-shot")
    expected = fusion(2).fused(members)
    with fuse(tmp_path, first, second) as found:
        assert (found.setting, found.localises) == ("full-shot", True)
        assert found.notes == ["", "m0: not symmetric", "", "", ""]
        assert (found.seconds >= 1.0).all()
        assert_close(found.image_scores, expected.image_scores)
        assert_close(found.anomaly_map(2), expected.maps[2])
        assert set(found.provenance["members"]) == {"m0", "m1"}
        assert found.provenance["image_list_sha256"] == "abc"


def test_members_that_score_images_alone_make_a_fusion_that_does(tmp_path):
    files = [write_scores(tmp_path / f"{seed}.h5", images_alone(seed)) for seed in (16, 17)]
    with fuse(tmp_path, *files) as found:
        assert not found.localises
        assert_close(found.anomaly_map(0), found.image_scores[0])


@pytest.mark.parametrize("name", ["a{}.png", "z{}.png"])
def test_scores_of_other_images_are_refused_and_leave_no_file(tmp_path, name):
    first = write_scores(tmp_path / "a.h5", member(18))
    second = write_scores(tmp_path / "b.h5", member(19), ids=[name.format(index) for index in range(IMAGES)])
    with pytest.raises(DataError, match="do not score the same images"):
        fuse(tmp_path, first, second)
    assert not (tmp_path / "fused.h5").exists()
