import base64
import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from reporting_files import THRESHOLD, Files, write_results
from zsad.errors import DataError
from zsad.files.json_files import read_json
from zsad.reporting import overlays
from zsad.reporting.draw_gallery import draw_gallery
from zsad.reporting.entries import collect_gallery
from zsad.reporting.options import ReportOptions

OPTIONS = ReportOptions(gallery=2, panel=64)


def collect(files: Files, *, with_masks: bool = True):
    return collect_gallery(
        files.manifest,
        files.scores,
        files.decisions,
        files.masks if with_masks else None,
        "guided",
        files.evaluation,
        OPTIONS,
    )


def entries_of(gallery):
    return {entry.image_id: entry for entries in gallery.groups.values() for entry in entries}


def draw(files: Files, folder, name="gallery"):
    sheet, panels = folder / f"{name}.png", folder / f"{name}.json"
    draw_gallery(
        manifest=files.manifest,
        scores=files.scores,
        decisions=files.decisions,
        masks=files.masks,
        refiner="guided",
        evaluation=files.evaluation,
        options=OPTIONS,
        sheet=sheet,
        panels=panels,
    )
    return sheet, panels


def test_a_value_has_the_same_colour_in_every_image_whatever_else_is_in_it(tmp_path):
    """Each map is flat but for one patch, and both have the value 0.4; per-image scaling would paint it differently."""
    first, second = np.full((6, 8), 0.4), np.full((6, 8), 0.4)
    first[0, 0], second[0, 0] = 0.0, 1.0
    files = write_results(tmp_path, labels=(0, 1), maps=[first, second])
    pictures = [entry.pictures["map"] for entry in entries_of(collect(files)).values()]
    corners = [tuple(picture[-1, -1]) for picture in pictures]
    assert corners[0] == corners[1]
    assert tuple(pictures[0][0, 0]) != tuple(pictures[1][0, 0])


def test_the_scale_spans_percentiles_of_all_patches_together():
    maps = [np.arange(0, 500.0).reshape(20, 25), np.arange(500, 1001.0).reshape(3, 167)]
    scale = overlays.colour_scale(maps, "inferno")
    assert (scale.low, scale.high) == pytest.approx((10.0, 999.0))
    assert (scale.paint(np.array([-5.0, 10.0])) == scale.colours[0]).all()
    assert (scale.paint(np.array([999.0, 2000.0])) == scale.colours[255]).all()


def test_maps_without_any_contrast_are_painted_in_the_lowest_colour():
    scale = overlays.colour_scale([np.full((3, 3), 0.2)], "inferno")
    assert (scale.paint(np.full((2, 2), 0.2)) == scale.colours[0]).all()


@pytest.mark.parametrize(
    ("height", "width", "expected"), [(50, 100, (32, 64)), (400, 100, (64, 16)), (2, 900, (1, 64))]
)
def test_pictures_keep_the_shape_of_the_photograph(height, width, expected):
    assert overlays.panel_size(height, width, 64) == expected


def test_the_outline_of_a_single_pixel_of_a_large_mask_is_seen():
    mask = np.zeros((2000, 2000), dtype=bool)
    mask[1000, 1000] = True
    drawn = overlays.outlined(np.full((64, 64, 3), 128, dtype=np.uint8), mask, overlays.PREDICTION_COLOUR)
    assert (np.abs(drawn[31:34, 31:34].astype(int) - 128).max(axis=2) > 40).any()
    assert (drawn[:28] == 128).all()


def test_a_pixel_that_is_defective_in_part_is_grey_in_the_mask():
    mask = np.zeros((4, 4), dtype=bool)
    mask[:, :1] = True
    assert overlays.mask_picture(mask, (2, 2)).tolist() == [[128, 0], [128, 0]]


def test_without_a_refiner_the_mask_is_the_map_above_the_threshold(tmp_path):
    left_above = np.tile([1.0, 1.0, 0.0, 0.0], (4, 1))
    exactly_at = np.full((4, 4), THRESHOLD)
    gallery = collect(write_results(tmp_path, labels=(0, 1), maps=[left_above, exactly_at]), with_masks=False)
    masks = {name: entry.pictures["mask"] for name, entry in entries_of(gallery).items()}
    assert masks["test/000.png"][:, 0].min() == 255
    assert masks["test/000.png"][:, -1].max() == 0
    assert masks["test/001.png"].max() == 0


def test_the_truth_is_said_in_words(tmp_path):
    entries = entries_of(collect(write_results(tmp_path, labels=(0, 1, 1, None))))
    assert [entries[f"test/00{index}.png"].truth for index in range(4)] == ["good", "marked", "no mask", "unknown"]


def test_only_the_marked_truth_is_painted(tmp_path):
    entries = entries_of(collect(write_results(tmp_path, labels=(1, 1), size=(64, 64))))
    unmarked, marked = entries["test/000.png"], entries["test/001.png"]
    photograph = np.array(Image.open(tmp_path / "000.png"))
    assert (unmarked.pictures["truth"][:40] == photograph[:40]).all()
    blue = np.array(overlays.TRUTH_COLOUR)
    inside = marked.pictures["truth"][10:20, 10:20].reshape(-1, 3).mean(axis=0)
    original = np.array(Image.open(tmp_path / "001.png"))[10:20, 10:20].reshape(-1, 3).mean(axis=0)
    assert np.linalg.norm(inside - blue) < 0.7 * np.linalg.norm(original - blue)


def test_captions_give_rank_and_decision(tmp_path):
    gallery = collect(write_results(tmp_path, labels=(0, 0, 1, 1)))
    best = gallery.groups["highest"][0]
    assert (best.image_id, best.rank, best.decision, best.defect_type) == ("test/003.png", 1, 1, "scratch")
    assert gallery.ranked == 4
    assert entries_of(gallery)["test/000.png"].decision == 0


def test_pictures_show_what_stands_out_by_the_thresholds_of_each_image(tmp_path):
    """Of two regions above the threshold of pixels the lower one is left out, and of an image called good both are."""
    spots = np.zeros((6, 8))
    spots[1, 1:3], spots[4, 5:7] = 0.6, 0.9
    decided = {"region": [0.8, 0.95], "pixel": [0.5, 0.4], "significance": [0.02, 3], "measure": "false_alarms"}
    gallery = collect(write_results(tmp_path, labels=(0, 1), maps=[spots, spots], decided=decided), with_masks=False)
    first, second = (entries_of(gallery)[f"test/00{index}.png"] for index in range(2))
    assert (first.decision, second.decision) == (1, 0)
    assert first.decided_by == "peak 0.9 above the threshold 0.8, 0.02 false alarms expected in a normal image"
    assert second.decided_by == "peak 0.9 not above the threshold 0.95, 3 false alarms expected in a normal image"
    assert first.pictures["mask"][:24].max() == 0
    assert first.pictures["mask"][30:].max() == 255
    assert second.pictures["mask"].max() == 0
    assert np.isnan(gallery.thresholds).all()


def test_decisions_of_other_images_are_refused(tmp_path):
    files, other = write_results(tmp_path / "four"), write_results(tmp_path / "two", labels=(0, 1))
    with pytest.raises(DataError, match="do not contain the same images in the same order; delete"):
        draw(replace(files, decisions=other.decisions), tmp_path)
    assert not list(tmp_path.glob("gallery*"))


def test_the_sheet_and_the_panels_are_the_same_bytes_each_time(tmp_path):
    files = write_results(tmp_path / "data")
    first, second = draw(files, tmp_path, "first"), draw(files, tmp_path, "second")
    assert first[0].read_bytes() == second[0].read_bytes()
    assert first[1].read_bytes() == second[1].read_bytes()


def test_the_panels_hold_pictures_of_the_announced_size(tmp_path):
    _, panels = draw(write_results(tmp_path / "data", size=(60, 80)), tmp_path)
    gallery = read_json(panels)
    assert (gallery["category"], gallery["method"], gallery["refiner"]) == ("ring", "mutual", "guided")
    assert [group["name"] for group in gallery["groups"]] == ["highest", "lowest"]
    entry = gallery["groups"][0]["entries"][0]
    assert (entry["height"], entry["width"]) == (48, 64)
    for name, address in entry["pictures"].items():
        kind, content = address.split(";base64,")
        assert kind == ("data:image/png" if name == "mask" else "data:image/jpeg")
        assert Image.open(io.BytesIO(base64.b64decode(content))).size == (64, 48)


def test_unlabelled_images_make_a_gallery_of_the_highest_and_lowest(tmp_path):
    sheet, panels = draw(write_results(tmp_path / "data", labels=(None,) * 5, with_curves=False), tmp_path)
    assert [group["name"] for group in read_json(panels)["groups"]] == ["highest", "lowest"]
    assert Image.open(sheet).width > 4 * 64


def test_an_image_that_changed_since_the_manifest_stops_the_drawing_without_output(tmp_path):
    files = write_results(tmp_path / "data")
    Image.new("RGB", (80, 60)).save(tmp_path / "data" / "003.png")
    with pytest.raises(DataError, match="has changed since it was listed"):
        draw(files, tmp_path)
    assert not list(tmp_path.glob("gallery*"))


def test_scores_of_another_manifest_are_refused_by_name(tmp_path):
    files = write_results(tmp_path / "four")
    other = write_results(tmp_path / "two", labels=(0, 1))
    with pytest.raises(DataError, match=r"'test/002\.png', which is missing in the manifest"):
        draw(replace(files, manifest=other.manifest), tmp_path)


def test_an_unknown_colour_map_is_refused_with_the_nearest_name():
    with pytest.raises(ValidationError, match="did you mean 'viridis'"):
        ReportOptions(colormap="viridiss")
    assert ReportOptions(colormap="viridis").colormap == "viridis"
