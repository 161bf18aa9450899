"""Modulation against a plain reference pixel by pixel, what it must do by its definition, and its stage."""

import cv2
import h5py
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from closeness import assert_close
from decision_files import write_decisions
from zsad.deciding.decide_images import adopt_decisions
from zsad.errors import ConfigError, DataError
from zsad.files.decisions import DecisionReader
from zsad.files.masks import MaskReader, MaskWriter
from zsad.files.scores import ScoreReader, ScoreWriter
from zsad.maps import Thresholds, at_image_size
from zsad.refinement.modulate_scores import IMAGES_ALONE, modulate_scores
from zsad.refinement.modulation import Modulation, coverage

SIZES = [(60, 44), (17, 23), (44, 60), (9, 9), (50, 20)]
GRIDS = [(8, 6), (5, 7), (6, 8), (12, 12), (9, 4)]  # the fourth is finer than its image
IDS = [f"test/{index}.png" for index in range(len(SIZES))]
THRESHOLD = 2.0
LIMITS = Thresholds(THRESHOLD, np.inf)  # no region stands out


def modulation(**params):
    return Modulation(method="mutual", refiner="guided", **params)


def random_map(rng, grid):
    return rng.gamma(2.0, 1.0, size=grid).astype(np.float32)


def blobs(rng, size, count=4):
    mask = np.zeros(size, np.uint8)
    for _ in range(count):
        centre = (int(rng.integers(size[1])), int(rng.integers(size[0])))
        cv2.circle(mask, centre, int(rng.integers(1, 1 + min(size) // 6)), 1, -1)
    return mask > 0


def plain_reading(anomaly_map, rows, columns):
    def places(length, cells):
        centres = np.clip((np.arange(length) + 0.5) * cells / length - 0.5, 0, cells - 1)
        return [(int(centre), min(int(centre) + 1, cells - 1), centre - int(centre)) for centre in centres]

    found = np.empty((rows, columns))
    for row, (top, bottom, down) in enumerate(places(rows, anomaly_map.shape[0])):
        for column, (left, right, along) in enumerate(places(columns, anomaly_map.shape[1])):
            upper = (1 - along) * anomaly_map[top, left] + along * anomaly_map[top, right]
            lower = (1 - along) * anomaly_map[bottom, left] + along * anomaly_map[bottom, right]
            found[row, column] = (1 - down) * upper + down * lower
    return found


def plain_coverage(mask, rows, columns):
    def overlaps(cell, length, cells):
        first, last = cell * length / cells, (cell + 1) * length / cells
        shares = ((pixel, min(last, pixel + 1) - max(first, pixel)) for pixel in range(length))
        return [(pixel, share * cells / length) for pixel, share in shares if share > 1e-9]

    found = np.zeros((rows, columns))
    for row, column in np.ndindex(rows, columns):
        for y, down in overlaps(row, mask.shape[0], rows):
            for x, along in overlaps(column, mask.shape[1], columns):
                found[row, column] += down * along * mask[y, x]
    return found


def plain_peak(values, inside, start):
    """The greatest value that a walk inside reaches from a pixel."""
    waiting, seen = [start], {start}
    while waiting:
        row, column = waiting.pop()
        for step in np.ndindex(3, 3):
            near = (row + step[0] - 1, column + step[1] - 1)
            if 0 <= near[0] < values.shape[0] and 0 <= near[1] < values.shape[1] and near not in seen and inside[near]:
                seen.add(near)
                waiting.append(near)
    return max(values[pixel] for pixel in seen)


def plain_modulation(anomaly_map, mask, threshold, strength, rows, columns):
    values, covered = plain_reading(anomaly_map, rows, columns), plain_coverage(mask, rows, columns)
    found = values.copy()
    for pixel in np.ndindex(rows, columns):
        if covered[pixel] > 0:
            peak = plain_peak(values, covered > 0, pixel)
            found[pixel] += strength * covered[pixel] * (peak - values[pixel])
        if values[pixel] > threshold:
            found[pixel] -= strength * (1 - covered[pixel]) * (values[pixel] - threshold)
    return found


@pytest.mark.parametrize(("size", "grid"), list(zip(SIZES, GRIDS, strict=True)))
@pytest.mark.parametrize("strength", [0.3, 1.0])
def test_the_map_moves_as_in_a_loop_over_pixels(size, grid, strength):
    rng = np.random.default_rng(sum(size))
    anomaly_map, mask = random_map(rng, grid), blobs(rng, size)
    modulate = modulation(strength=strength, side=24)
    rows, columns = modulate.grid_size(size, grid)

    found = modulate.modulated(anomaly_map, mask, LIMITS)

    assert mask.any()
    assert (found.dtype, found.shape) == (np.float32, (rows, columns))
    expected = plain_modulation(anomaly_map, mask, THRESHOLD, strength, rows, columns)
    assert_close(found, expected)


@pytest.mark.parametrize(
    ("image", "grid", "expected"),
    [
        ((1000, 500), (32, 16), (256, 128)),
        ((700, 900), (32, 32), (199, 256)),
        ((100, 60), (32, 32), (100, 60)),
        ((4096, 2048), (300, 150), (300, 150)),
        ((200, 200), (300, 300), (200, 200)),
        ((900, 300), (32, 100), (256, 100)),
        ((5000, 3), (32, 2), (256, 2)),
        ((5000, 3), (32, 32), (256, 3)),
    ],
)
def test_the_working_size_is_finer_than_the_map_and_not_finer_than_the_image(image, grid, expected):
    assert modulation().grid_size(image, grid) == expected


def test_strength_0_is_the_map_itself_resampled():
    rng = np.random.default_rng(0)
    anomaly_map, mask = random_map(rng, (8, 8)), blobs(rng, (64, 96))
    found = modulation(strength=0, side=48).modulated(anomaly_map, mask, LIMITS)
    np.testing.assert_array_equal(found, at_image_size(anomaly_map, 32, 48))


def test_strength_1_takes_the_mask_at_its_word():
    anomaly_map = random_map(np.random.default_rng(1), (8, 8))
    mask = np.zeros((64, 64), bool)
    mask[8:24, 8:24] = mask[30:60, 32:60] = True
    values = at_image_size(anomaly_map, 64, 64)
    assert 0 < (values > THRESHOLD)[~mask].sum() < (~mask).sum()  # there is something to take back

    found = modulation(strength=1, side=64).modulated(anomaly_map, mask, LIMITS)

    np.testing.assert_array_equal(found > THRESHOLD, mask)
    for region in (np.s_[8:24, 8:24], np.s_[30:60, 32:60]):
        np.testing.assert_array_equal(found[region], values[region].max())
    np.testing.assert_array_equal(found[~mask], np.minimum(values, np.float32(THRESHOLD))[~mask])


@pytest.mark.parametrize(("size", "grid"), list(zip(SIZES, GRIDS, strict=True)))
@pytest.mark.parametrize("strength", [0, 0.3, 1.0])
def test_an_image_is_called_defective_as_before_if_its_peak_lies_in_the_mask(size, grid, strength):
    """A peak of one patch is lower wherever the map is read; it must not be lost by that."""
    rng = np.random.default_rng(sum(size))
    anomaly_map = rng.random(grid).astype(np.float32)
    anomaly_map[grid[0] // 2, grid[1] // 2] = 5
    below, at = Thresholds(1.5, float(np.nextafter(np.float32(5), np.float32(0)))), Thresholds(1.5, 5.0)

    found = modulation(strength=strength, side=24).modulated(anomaly_map, np.ones(size, bool), below)
    lost = modulation(strength=strength, side=24).modulated(anomaly_map, np.ones(size, bool), at)

    assert found.max() == 5 > below.region
    assert lost.max() <= 5
    if strength == 0:  # only the pixel next to the centre of the patch differs from the map itself
        plain = at_image_size(anomaly_map, *found.shape)
        np.testing.assert_array_equal(lost, plain)
        changed = np.argwhere(found != plain)
        assert len(changed) <= 1
        for place, length, count in zip(changed.ravel(), found.shape, grid, strict=False):
            assert abs((place + 0.5) / length - (count // 2 + 0.5) / count) <= 0.5 / length + 1e-9


def test_without_a_mask_even_a_region_that_stands_out_falls_towards_the_threshold():
    anomaly_map = np.zeros((5, 5), np.float32)
    anomaly_map[2, 2] = 5
    found = modulation(strength=1).modulated(anomaly_map, np.zeros((50, 50), bool), Thresholds(1.5, 4.0))
    assert found.max() == 1.5


def test_coverage_does_not_exceed_1_by_rounding():
    shares = coverage(np.ones((907, 613), bool), 256, 173)
    assert shares.max() == 1
    assert_close(shares, 1, size=1)


def test_pixels_that_touch_at_a_corner_are_one_region_and_others_are_not():
    anomaly_map = np.array([[5, 1, 1, 1], [1, 3, 1, 2]], np.float32)
    mask = np.array([[1, 0, 0, 0], [0, 1, 0, 1]], bool)
    found = modulation(strength=1).modulated(anomaly_map, mask, Thresholds(10.0, np.inf))
    np.testing.assert_array_equal(found, [[5, 1, 1, 1], [1, 5, 1, 2]])


def test_outside_pixels_below_the_threshold_stay_bit_by_bit_and_those_above_keep_their_order():
    rng = np.random.default_rng(2)
    anomaly_map = random_map(rng, (9, 9))
    mask = np.zeros((40, 40), bool)
    mask[10:20, 10:20] = True
    before = at_image_size(anomaly_map, 40, 40)

    after = modulation(strength=0.3).modulated(anomaly_map, mask, LIMITS)

    quiet = ~mask & (before <= THRESHOLD)
    np.testing.assert_array_equal(after[quiet], before[quiet])
    order = np.argsort(before[~mask], kind="stable")
    assert (np.diff(after[~mask][order]) >= 0).all()
    assert after[~mask & (before > THRESHOLD)].min() > THRESHOLD


@pytest.mark.parametrize("strength", [0.4, 1.0])
def test_an_empty_mask_only_takes_back_and_a_full_one_only_adds(strength):
    anomaly_map = random_map(np.random.default_rng(3), (7, 5))
    values = plain_reading(anomaly_map, 32, 23)
    modulate = modulation(strength=strength, side=32)
    empty = modulate.modulated(anomaly_map, np.zeros((70, 50), bool), LIMITS)
    full = modulate.modulated(anomaly_map, np.ones((70, 50), bool), LIMITS)
    assert_close(empty, values - strength * np.maximum(values - THRESHOLD, 0))
    assert_close(full, values + strength * (values.max() - values))


def test_a_constant_map_stays_as_it_is_under_any_mask():
    constant = np.full((6, 6), 0.7, np.float32)
    found = modulation(strength=0.3).modulated(constant, blobs(np.random.default_rng(4), (50, 50)), LIMITS)
    np.testing.assert_array_equal(found, np.full((50, 50), np.float32(0.7)))


@pytest.mark.parametrize("threshold", [-np.inf, -1e30, -1.0, 0.05, 2.0, 50.0, np.inf])
@pytest.mark.filterwarnings("error")
def test_values_stay_between_the_least_and_the_peak_of_the_map(threshold):
    rng = np.random.default_rng(5)
    for strength in (0.2, 0.7, 1.0):
        anomaly_map, mask = random_map(rng, (7, 9)), blobs(rng, (53, 67))
        found = modulation(strength=strength, side=31).modulated(anomaly_map, mask, Thresholds(threshold, np.inf))
        assert anomaly_map.min() <= found.min()
        assert found.max() <= anomaly_map.max()


@pytest.mark.parametrize(("factor", "shift"), [(1.0, 3.0), (4.0, 0.0), (0.25, -2.0)])
def test_another_unit_of_map_and_threshold_is_another_unit_of_the_result(factor, shift):
    rng = np.random.default_rng(6)
    anomaly_map, mask = random_map(rng, (8, 6)), blobs(rng, (60, 44))
    modulate = modulation(side=24)
    plain = modulate.modulated(anomaly_map, mask, LIMITS)
    changed = modulate.modulated(factor * anomaly_map + shift, mask, Thresholds(factor * THRESHOLD + shift, np.inf))
    assert_close(changed, factor * plain + shift)


@pytest.mark.parametrize("mirrored", [np.fliplr, np.flipud, np.transpose])
def test_a_mirrored_image_has_the_mirrored_result(mirrored):
    rng = np.random.default_rng(7)
    anomaly_map, mask = random_map(rng, (8, 6)), blobs(rng, (60, 44))
    modulate = modulation(side=25)
    found = modulate.modulated(np.ascontiguousarray(mirrored(anomaly_map)), mirrored(mask), LIMITS)
    assert_close(found, mirrored(modulate.modulated(anomaly_map, mask, LIMITS)))


@pytest.mark.parametrize("wrong", [{"strength": 1.1}, {"strength": -0.1}, {"side": 0}])
def test_a_parameter_out_of_range_is_refused(wrong):
    with pytest.raises(ConfigError, match=rf"methods\.sharp: {next(iter(wrong))}"):
        Modulation.build({"method": "mutual", "refiner": "guided", **wrong}, where="methods.sharp")


def write_scores(path, maps, *, pixel=THRESHOLD, region=3.0, localises=True):
    """A score file, and a file of decisions beside it."""
    with ScoreWriter(
        path,
        IDS[: len(maps)],
        {"image_list_sha256": "abc", "model": "net", "stage": "score_images"},
        grid_sizes=np.array([anomaly_map.shape for anomaly_map in maps]),
        setting="few-shot-4",
        localises=localises,
    ) as writer:
        for index, anomaly_map in enumerate(maps):
            note = "not symmetric" if index == 1 else ""
            writer.write(index, anomaly_map, anomaly_map.max() + index, seconds=10 + index, note=note)
    write_decisions(path.with_name("decisions.h5"), path, region, pixel)
    return path


def write_masks(path, masks, ids=IDS):
    with MaskWriter(path, ids[: len(masks)], {"image_list_sha256": "abc", "stage": "refine_masks"}) as writer:
        for mask in masks:
            writer.append(mask, 1.0, [])
    return path


@pytest.fixture
def category(tmp_path):
    """Maps and masks of images of mixed sizes, and their files."""
    rng = np.random.default_rng(8)
    maps = [random_map(rng, grid) for grid in GRIDS]
    masks = [blobs(rng, size) for size in SIZES]
    return maps, masks, write_scores(tmp_path / "scores.h5", maps), write_masks(tmp_path / "masks.h5", masks)


def modulated_file(scores, masks, **params):
    output = scores.with_name("modulated.h5")
    modulate_scores(
        scores=scores,
        decisions=scores.with_name("decisions.h5"),
        masks=masks,
        modulation=modulation(**params),
        output=output,
        provenance={"stage": "modulate_scores"},
    )
    return ScoreReader(output)


def files_of_output(scores):
    return [path.name for path in scores.parent.iterdir() if "modulated" in path.name]


def test_images_of_mixed_sizes_are_modulated_each_by_its_own_mask_and_the_rest_carries_over(category):
    maps, masks, scores, outlines = category
    with h5py.File(scores) as file:
        assert np.isnan(file["anomaly_map"][:]).any()  # the padding that must not be read
    with ScoreReader(scores) as before, modulated_file(scores, outlines, side=24) as after:
        assert after.image_ids == before.image_ids
        assert (after.setting, after.localises) == ("few-shot-4", True)
        assert after.notes == ["", "not symmetric", "", "", ""]
        np.testing.assert_array_equal(after.image_scores, before.image_scores)
        assert after.grid_sizes.tolist() == [[24, 18], [17, 23], [18, 24], [9, 9], [24, 10]]
        for index in range(len(maps)):
            limits = Thresholds(THRESHOLD, 3.0)
            expected = modulation(side=24).modulated(maps[index], masks[index], limits)
            np.testing.assert_array_equal(after.anomaly_map(index), expected)


def test_seconds_are_those_of_the_method_and_of_the_modulation(category):
    _, _, scores, outlines = category
    with modulated_file(scores, outlines) as after:
        own = after.seconds - np.arange(10, 15)
        assert (own > 0).all()
        assert after.provenance["seconds"] == pytest.approx(own.sum(), abs=1e-4)


def test_provenance_names_the_modulation_and_both_inputs(category):
    _, _, scores, outlines = category
    with modulated_file(scores, outlines, strength=0.25) as after:
        found = after.provenance
    assert found["stage"] == "modulate_scores"
    assert found["modulation"] == {"class": "Modulation", "params": modulation(strength=0.25).parameters()}
    assert (found["image_list_sha256"], found["model"]) == ("abc", "net")
    stages = [found[name]["stage"] for name in ("scores", "decisions", "masks")]
    assert stages == ["score_images", "decide_images", "refine_masks"]


def test_a_method_that_does_not_localise_passes_through_on_its_own_grid_with_a_note(tmp_path):
    maps = [np.full(grid, index, np.float32) for index, grid in enumerate(GRIDS)]
    scores = write_scores(tmp_path / "scores.h5", maps, localises=False)
    outlines = write_masks(tmp_path / "masks.h5", [np.zeros(size, bool) for size in SIZES])
    with modulated_file(scores, outlines) as after:
        assert not after.localises
        assert after.notes == [IMAGES_ALONE, f"not symmetric; {IMAGES_ALONE}", *[IMAGES_ALONE] * 3]
        for index, anomaly_map in enumerate(maps):
            np.testing.assert_array_equal(after.anomaly_map(index), anomaly_map)


@pytest.mark.parametrize("ids", [[f"other/{index}.png" for index in range(5)], IDS[::-1]])
def test_masks_of_other_images_or_in_another_order_are_refused_and_leave_no_file(category, tmp_path, ids):
    _, masks, scores, _ = category
    others = write_masks(tmp_path / "others.h5", masks, ids=ids)
    with pytest.raises(DataError, match=r"others\.h5 and .*scores\.h5 do not show the same images"):
        modulated_file(scores, others)
    assert files_of_output(scores) == []


def test_each_image_is_moved_about_its_own_threshold_of_pixels_and_decided_by_those_of_the_method(category):
    maps, masks, scores, outlines = category
    pixel, region = [0.5, 1.0, 2.0, -(2.0**99), np.inf], [2.0, 9.0, 3.0, 1.0, np.inf]
    decisions = write_decisions(scores.with_name("decisions.h5"), scores, region, pixel)
    with modulated_file(scores, outlines, side=24) as after:
        for index in range(len(maps)):
            limits = Thresholds(*(float(np.float32(values[index])) for values in (pixel, region)))
            expected = modulation(side=24).modulated(maps[index], masks[index], limits)
            np.testing.assert_array_equal(after.anomaly_map(index), expected)
        peaks = [after.anomaly_map(index).max() for index in range(len(maps))]
    adopted = scores.with_name("adopted.h5")
    adopt_decisions(scores=after.path, decisions=decisions, output=adopted, provenance={})
    with DecisionReader(adopted) as decided:
        assert decided.pixel.tolist() == pixel
        assert decided.region.tolist() == region
        assert decided.decided.tolist() == [peak > limit for peak, limit in zip(peaks, region, strict=True)]


@pytest.mark.parametrize("order", [slice(None, None, -1), slice(0, 4)], ids=["another order", "fewer"])
def test_decisions_of_other_images_are_refused_and_leave_no_file(category, tmp_path, order):
    maps, _, scores, outlines = category
    (tmp_path / "other").mkdir()
    ids = IDS[order]
    with ScoreWriter(
        tmp_path / "other" / "scores.h5",
        ids,
        {},
        grid_sizes=np.array([anomaly_map.shape for anomaly_map in maps[order]]),
        setting="few-shot-4",
    ) as writer:
        for index, anomaly_map in enumerate(maps[order]):
            writer.write(index, anomaly_map, 1.0)
    write_decisions(tmp_path / "decisions.h5", tmp_path / "other" / "scores.h5", 3.0, THRESHOLD)
    with pytest.raises(DataError, match=r"decisions\.h5 and .*scores\.h5 do not contain the same images"):
        modulated_file(scores, outlines)
    assert files_of_output(scores) == []


def test_a_failure_in_the_middle_leaves_no_file(category, monkeypatch):
    _, _, scores, outlines = category
    whole = MaskReader.mask

    def failing(reader, index):
        if index == 3:
            raise OSError("the disk is gone")
        return whole(reader, index)

    monkeypatch.setattr(MaskReader, "mask", failing)
    with pytest.raises(OSError, match="the disk is gone"):
        modulated_file(scores, outlines)
    assert files_of_output(scores) == []


def test_a_map_that_is_not_finite_is_refused_by_the_name_of_its_image(category, monkeypatch):
    maps, _, scores, outlines = category
    whole = Modulation.modulated

    def failing(self, anomaly_map, mask, thresholds):
        factor = np.nan if np.array_equal(anomaly_map, maps[2]) else 1
        return whole(self, anomaly_map, mask, thresholds) * np.float32(factor)

    monkeypatch.setattr(Modulation, "modulated", failing)
    with pytest.raises(DataError, match=r"score of test/2\.png is not finite"):
        modulated_file(scores, outlines)
    assert files_of_output(scores) == []


def test_pixels_rank_better_with_the_true_mask_and_as_before_at_strength_0(tmp_path):
    rng = np.random.default_rng(9)
    truths = [blobs(rng, size, count=2) for size in [(300, 400), (400, 300), (200, 200)]]
    maps = []
    for truth in truths:
        patches = cv2.resize(truth.astype(np.float32), (20, 20), interpolation=cv2.INTER_AREA)
        maps.append(cv2.GaussianBlur(patches, (0, 0), 1.5) + rng.normal(0, 0.02, (20, 20)).astype(np.float32))
    scores = write_scores(tmp_path / "scores.h5", maps, region=0.2, pixel=0.2)
    outlines = write_masks(tmp_path / "masks.h5", truths)

    def pixel_auroc(reader):
        with reader:
            read = [at_image_size(reader.anomaly_map(index), *truth.shape) for index, truth in enumerate(truths)]
        return roc_auc_score(np.concatenate([t.ravel() for t in truths]), np.concatenate([m.ravel() for m in read]))

    before = pixel_auroc(ScoreReader(scores))
    unmoved, half, whole = (pixel_auroc(modulated_file(scores, outlines, strength=s)) for s in (0, 0.5, 1))

    assert unmoved == pytest.approx(before, abs=5e-4)
    assert 1 - half < 0.5 * (1 - before)
    assert half < whole
