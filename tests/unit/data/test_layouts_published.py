"""MVTec AD and the data sets that keep to its folders, nearly, and VisA: small trees in the original arrangement."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zsad.data.layouts.base import Layout
from zsad.data.layouts.registry import LAYOUTS
from zsad.data.layouts.roots import categories_or_error
from zsad.data.saturation import DefectKind, Region, read_defect_kinds, read_regions
from zsad.errors import ConfigError, DataError

WritePng = Callable[..., Path]
HEIGHT, WIDTH = 12, 16

# Paths as in the archives; what lies in a folder of masks is drawn as a mask.
MVTEC_AD = """
    bottle/license.txt
    bottle/train/good/000.png
    bottle/train/good/001.png
    bottle/test/good/000.png
    bottle/test/broken_large/000.png
    bottle/test/contamination/000.png
    bottle/ground_truth/broken_large/000_mask.png
    bottle/ground_truth/contamination/000_mask.png
"""
MPDD = """
    bracket_black/train/good/000.png
    bracket_black/test/good/000.png
    bracket_black/test/hole/000.png
    bracket_black/test/scratches/000.png
    bracket_black/ground_truth/hole/000_mask.png
    bracket_black/ground_truth/scratches/000_mask.png
"""
MVTEC_AD_2 = """
    can/train/good/000_regular.png
    can/train/good/001_regular.png
    can/validation/good/000_regular.png
    can/validation/good/001_regular.png
    can/test_public/good/000_regular.png
    can/test_public/good/000_shift_1.png
    can/test_public/bad/000_overexposed.png
    can/test_public/bad/001_underexposed.png
    can/test_public/ground_truth/bad/000_overexposed_mask.png
    can/test_public/ground_truth/bad/001_underexposed_mask.png
    can/test_private/000_regular.png
    can/test_private/001_regular.png
    can/test_private_mixed/000_mixed.png
    license.txt
"""
MVTEC_LOCO = """
    pushpins/train/good/000.png
    pushpins/train/good/001.png
    pushpins/validation/good/000.png
    pushpins/test/good/000.png
    pushpins/test/logical_anomalies/000.png
    pushpins/test/structural_anomalies/000.png
    pushpins/ground_truth/logical_anomalies/000/000.png
    pushpins/ground_truth/logical_anomalies/000/001.png
    pushpins/ground_truth/structural_anomalies/000/000.png
    pushpins/license.txt
    pushpins/readme.txt
"""
BTAD = """
    01/train/ok/0000.bmp
    01/test/ok/0000.bmp
    01/test/ko/0000.bmp
    01/ground_truth/ko/0000.png
    02/train/ok/0000.png
    02/test/ok/0000.png
    02/test/ko/0000.png
    02/ground_truth/ko/0000.png
    02/ground_truth/ok/0000.png
    03/train/ok/0000.bmp
    03/test/ok/0000.bmp
    03/test/ko/0000.bmp
    03/ground_truth/ko/0000.bmp
"""
VISA = """
    candle/Data/Images/Normal/0000.JPG
    candle/Data/Images/Normal/0001.JPG
    candle/Data/Images/Normal/0002.JPG
    candle/Data/Images/Anomaly/000.JPG
    candle/Data/Images/Anomaly/001.JPG
    candle/Data/Masks/Anomaly/000.png
    candle/Data/Masks/Anomaly/001.png
    candle/image_anno.csv
    pipe_fryum/Data/Images/Normal/000.JPG
    pipe_fryum/Data/Images/Normal/001.JPG
    pipe_fryum/Data/Images/Anomaly/000.JPG
    pipe_fryum/Data/Masks/Anomaly/000.png
    pipe_fryum/image_anno.csv
    LICENSE-DATASET
"""
VISA_HEADER = "object,split,label,image,mask"
VISA_1CLS = f"""{VISA_HEADER}
candle,train,normal,candle/Data/Images/Normal/0002.JPG,
candle,train,normal,candle/Data/Images/Normal/0000.JPG,
candle,test,normal,candle/Data/Images/Normal/0001.JPG,
candle,test,anomaly,candle/Data/Images/Anomaly/000.JPG,candle/Data/Masks/Anomaly/000.png
candle,test,anomaly,candle/Data/Images/Anomaly/001.JPG,candle/Data/Masks/Anomaly/001.png
pipe_fryum,train,normal,pipe_fryum/Data/Images/Normal/000.JPG,
pipe_fryum,test,normal,pipe_fryum/Data/Images/Normal/001.JPG,
pipe_fryum,test,anomaly,pipe_fryum/Data/Images/Anomaly/000.JPG,pipe_fryum/Data/Masks/Anomaly/000.png
"""
VISA_2CLS = VISA_1CLS.replace("candle,test,anomaly", "candle,train,anomaly", 1)
PUSHPINS = [
    {"defect_name": "missing_pushpin", "pixel_value": 255, "saturation_threshold": 6, "relative_saturation": False},
    {"defect_name": "color", "pixel_value": 240, "saturation_threshold": 0.5, "relative_saturation": True},
]


@pytest.fixture
def tree(tmp_path: Path, write_png: WritePng) -> Callable[[str], Path]:
    """Write the files of a data set and return its root."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[:4, :5] = 255

    def write(listing: str) -> Path:
        root = tmp_path / "root"
        for name in listing.split():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix.lower() in (".png", ".jpg", ".bmp"):
                is_mask = {"ground_truth", "Masks"} & set(path.parts)
                write_png(path, mask if is_mask else None, size=(HEIGHT, WIDTH))
            else:
                path.write_text("for the lawyers")
        return root

    return write


@pytest.fixture
def loco(tree: Callable[[str], Path]) -> Path:
    root = tree(MVTEC_LOCO)
    (root / "pushpins/defects_config.json").write_text(json.dumps(PUSHPINS))
    return root


@pytest.fixture
def visa(tree: Callable[[str], Path]) -> Path:
    root = tree(VISA)
    (root / "split_csv").mkdir()
    (root / "split_csv/1cls.csv").write_text(VISA_1CLS)
    (root / "split_csv/2cls_fewshot.csv").write_text(VISA_2CLS)
    (root / "split_csv/2cls_highshot.csv").write_text(VISA_2CLS)
    return root


def found(layout: Layout, root: Path, category: str) -> dict[str, tuple[Any, ...]]:
    """Split, label, defect type and mask of each image, as the manifest has them."""
    return {
        record.image_id: (
            record.split,
            record.label,
            record.defect_type,
            Path(record.mask_path).relative_to(root / category).as_posix() if record.mask_path else "",
        )
        for record in layout.records(root, category)
    }


def counts(layout: Layout, root: Path, category: str) -> dict[tuple[str, str], int]:
    """Images by split and defect type."""
    return Counter((split, defect_type) for split, _, defect_type, _ in found(layout, root, category).values())


@pytest.mark.parametrize(
    ("name", "listing", "category", "defects"),
    [
        ("mvtec_ad", MVTEC_AD, "bottle", ["broken_large", "contamination"]),
        ("mpdd", MPDD, "bracket_black", ["hole", "scratches"]),
    ],
)
def test_mvtec_ad_and_mpdd(
    tree: Callable[[str], Path], name: str, listing: str, category: str, defects: list[str]
) -> None:
    root, layout = tree(listing), LAYOUTS.build(name)
    assert layout.categories(root) == [category]
    images = found(layout, root, category)
    for defect in defects:
        mask = f"ground_truth/{defect}/000_mask.png"
        assert images.pop(f"test/{defect}/000.png") == ("test", 1, defect, mask)
    assert images.pop("test/good/000.png") == ("test", 0, "good", "")
    assert set(images.values()) == {("train", 0, "good", "")}
    assert not layout.remarks(root, category)


@pytest.mark.parametrize(
    ("category", "image", "mask"), [("01", "bmp", "png"), ("02", "png", "png"), ("03", "bmp", "bmp")]
)
def test_btad_says_ok_and_ko_and_its_masks_may_end_otherwise_than_its_images(
    tree: Callable[[str], Path], category: str, image: str, mask: str
) -> None:
    root, layout = tree(BTAD), LAYOUTS.build("btad")
    assert layout.categories(root) == ["01", "02", "03"]
    assert found(layout, root, category) == {
        f"train/ok/0000.{image}": ("train", 0, "good", ""),
        f"test/ok/0000.{image}": ("test", 0, "good", ""),
        f"test/ko/0000.{image}": ("test", 1, "ko", f"ground_truth/ko/0000.{mask}"),
    }


def test_a_mask_of_a_good_btad_image_is_not_used(tree: Callable[[str], Path]) -> None:
    root, layout = tree(BTAD), LAYOUTS.build("btad")
    assert found(layout, root, "02")["test/ok/0000.png"] == ("test", 0, "good", "")
    assert root / "02/ground_truth/ok/0000.png" not in layout.files(root, "02")


def test_mvtec_ad_2_has_its_public_test_set_by_default(tree: Callable[[str], Path]) -> None:
    root, layout = tree(MVTEC_AD_2), LAYOUTS.build("mvtec_ad_2")
    assert layout.categories(root) == ["can"]
    truth = "test_public/ground_truth/bad"
    assert found(layout, root, "can") == {
        "train/good/000_regular.png": ("train", 0, "good", ""),
        "train/good/001_regular.png": ("train", 0, "good", ""),
        "test_public/good/000_regular.png": ("test", 0, "good", ""),
        "test_public/good/000_shift_1.png": ("test", 0, "good", ""),
        "test_public/bad/000_overexposed.png": ("test", 1, "bad", f"{truth}/000_overexposed_mask.png"),
        "test_public/bad/001_underexposed.png": ("test", 1, "bad", f"{truth}/001_underexposed_mask.png"),
    }
    assert layout.remarks(root, "can") == [
        "the validation images of can (2) are left out, since no method here uses them",
        "the images in test_private and test_private_mixed of can are left out; dataset.params.test chooses",
    ]


@pytest.mark.parametrize(
    ("test", "images"),
    [("private", ["000_regular.png", "001_regular.png"]), ("private_mixed", ["000_mixed.png"])],
)
def test_the_private_test_sets_of_mvtec_ad_2_have_no_labels(
    tree: Callable[[str], Path], test: str, images: list[str]
) -> None:
    root, layout = tree(MVTEC_AD_2), LAYOUTS.build("mvtec_ad_2", {"test": test})
    tests = {name: facts for name, facts in found(layout, root, "can").items() if facts[0] == "test"}
    assert tests == {f"test_{test}/{image}": ("test", None, "", "") for image in images}
    assert counts(layout, root, "can")["train", "good"] == 2


def test_the_masks_of_mvtec_ad_2_lie_among_its_test_images_but_are_none(tree: Callable[[str], Path]) -> None:
    root = tree(MVTEC_AD_2 + "can/test_public/ground_truth/overview.png")
    assert {item.defect_type for item in LAYOUTS.build("mvtec_ad_2").items(root, "can")} == {"good", "bad"}


def test_only_the_categories_with_the_wanted_test_set_are_read(tree: Callable[[str], Path]) -> None:
    root = tree(MVTEC_AD_2 + "rice/train/good/000_regular.png rice/test_public/good/000_regular.png")
    assert LAYOUTS.build("mvtec_ad_2").categories(root) == ["can", "rice"]
    assert LAYOUTS.build("mvtec_ad_2", {"test": "private"}).categories(root) == ["can"]
    with pytest.raises(ConfigError, match="test = 'hidden' is not valid; choose from: public, private, private_mixed"):
        LAYOUTS.build("mvtec_ad_2", {"test": "hidden"})


def test_mvtec_loco_has_a_folder_of_masks_an_image(loco: Path) -> None:
    layout = LAYOUTS.build("mvtec_loco")
    assert layout.categories(loco) == ["pushpins"]
    truth = "ground_truth/{}/000"
    assert found(layout, loco, "pushpins") == {
        "train/good/000.png": ("train", 0, "good", ""),
        "train/good/001.png": ("train", 0, "good", ""),
        "test/good/000.png": ("test", 0, "good", ""),
        **{
            f"test/{kind}/000.png": ("test", 1, kind, truth.format(kind))
            for kind in ("logical_anomalies", "structural_anomalies")
        },
    }
    assert layout.remarks(loco, "pushpins") == [
        "the validation images of pushpins (1) are left out, since no method here uses them"
    ]


def test_the_manifest_of_mvtec_loco_depends_on_every_mask_and_on_the_table_of_defects(loco: Path) -> None:
    files = {
        path.relative_to(loco / "pushpins").as_posix() for path in LAYOUTS.build("mvtec_loco").files(loco, "pushpins")
    }
    assert len(files) == 5 + 3 + 1
    assert {"ground_truth/logical_anomalies/000/001.png", "defects_config.json"} < files


def test_visa_is_split_by_its_table(visa: Path) -> None:
    layout = LAYOUTS.build("visa")
    assert layout.categories(visa) == ["candle", "pipe_fryum"]
    assert found(layout, visa, "candle") == {
        "Data/Images/Normal/0000.JPG": ("train", 0, "good", ""),
        "Data/Images/Normal/0001.JPG": ("test", 0, "good", ""),
        "Data/Images/Normal/0002.JPG": ("train", 0, "good", ""),
        "Data/Images/Anomaly/000.JPG": ("test", 1, "anomaly", "Data/Masks/Anomaly/000.png"),
        "Data/Images/Anomaly/001.JPG": ("test", 1, "anomaly", "Data/Masks/Anomaly/001.png"),
    }
    assert counts(layout, visa, "pipe_fryum") == {("train", "good"): 1, ("test", "good"): 1, ("test", "anomaly"): 1}
    assert len(layout.files(visa, "candle")) == 5 + 2 + 1
    assert not layout.remarks(visa, "candle")


@pytest.mark.parametrize("split", ["2cls_fewshot", "2cls_highshot"])
def test_the_defective_training_images_of_visa_are_left_out_and_that_is_said(visa: Path, split: str) -> None:
    layout = LAYOUTS.build("visa", {"split": split})
    assert counts(layout, visa, "candle") == {("train", "good"): 2, ("test", "good"): 1, ("test", "anomaly"): 1}
    assert layout.tables(visa, "candle") == [visa / f"split_csv/{split}.csv"]
    assert layout.remarks(visa, "candle") == [
        f"the defective training images of candle (1) are left out, since the split {split} "
        "has them for supervised methods"
    ]


CANDLE = "candle/Data/Images/Normal"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (None, r"1cls\.csv does not exist; take it from VisA's archive or from https://"),
        ("", "has no column object, split, label, image, mask "),
        (VISA_1CLS.replace("label", "class", 1), r"has no column label \(it must have object,split,label,image,mask\)"),
        (VISA_1CLS.replace("normal", "nromal", 1), "line 2: the label is 'nromal'; it must be one of normal, anomaly"),
        (VISA_1CLS.replace("train", "val", 1), "line 2: the split is 'val'; it must be one of train, test"),
        (VISA_1CLS.replace("/0002.JPG", "/0009.JPG"), "line 2: the image .*0009.JPG does not exist; unpack the whole"),
        (VISA_1CLS.replace("/000.png", "/009.png"), "line 5: the mask .*009.png does not exist; unpack the whole"),
        (VISA_1CLS.replace("/0002.JPG", "/0000.JPG"), f"line 3: {CANDLE}/0000.JPG is listed twice"),
        (f"{VISA_HEADER}\ncandle,test,normal,../secret.JPG,\n", "the image is '../secret.JPG', which is not a path"),
        (f"{VISA_HEADER}\ncandle,test,normal,candle/../a.JPG,\n", "starts with 'candle/'; correct it"),
        (f"{VISA_HEADER}\ncandle,test,normal,/candle/a.JPG,\n", "the image is '/candle/a.JPG', which is not a path"),
        (f"{VISA_HEADER}\ncandle,test,normal\n", "line 2: the image is '', which is not a path"),
        (f"{VISA_HEADER}\npcb1,test,normal,{CANDLE}/0000.JPG,\n", "has no line for 'candle'; leave the category out"),
    ],
)
def test_a_wrong_table_of_visa_is_an_error_of_one_sentence(visa: Path, table: str | None, message: str) -> None:
    path = visa / "split_csv/1cls.csv"
    path.unlink() if table is None else path.write_text(table)
    with pytest.raises(DataError, match=message) as caught:
        LAYOUTS.build("visa").items(visa, "candle")
    assert "\n" not in str(caught.value)


def test_a_table_of_visa_that_is_no_text_is_an_error(visa: Path) -> None:
    (visa / "split_csv/1cls.csv").write_bytes(b"\xff\xfe\x00\x01" * 50)
    with pytest.raises(DataError, match="cannot be read as a table"):
        LAYOUTS.build("visa").items(visa, "candle")


def test_a_table_of_visa_may_have_been_through_a_spreadsheet(visa: Path) -> None:
    (visa / "split_csv/1cls.csv").write_bytes(VISA_1CLS.replace("\n", "\r\n").encode("utf-8-sig"))
    assert len(LAYOUTS.build("visa").items(visa, "candle")) == 5


TREES = {
    "mvtec_ad": MVTEC_AD,
    "mvtec_ad_2": MVTEC_AD_2,
    "mvtec_loco": MVTEC_LOCO,
    "btad": BTAD,
    "mpdd": MPDD,
    "visa": VISA,
}


@pytest.mark.parametrize("name", TREES)
def test_a_wrong_root_is_named_together_with_the_right_one(
    tree: Callable[[str], Path], tmp_path: Path, name: str
) -> None:
    root, layout = tree(TREES[name]), LAYOUTS.build(name)
    category = layout.categories(root)[0]
    with pytest.raises(DataError, match="looks like a single category: give its parent folder") as caught:
        layout.categories(root / category)
    assert str(caught.value).endswith(str(root))
    with pytest.raises(DataError, match=r"has no folder with .* in it, as .*; ") as caught:
        layout.categories(tmp_path)
    assert str(caught.value).endswith(f"set dataset.root to {root}")
    with pytest.raises(DataError, match=r"nowhere does not exist; set dataset\.root to the folder of the categories"):
        layout.categories(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"in it, as .*; set dataset\.root to the folder of the categories"):
        layout.categories(tmp_path / "empty")
    (tmp_path / "archive.tar").write_text("")
    with pytest.raises(DataError, match=r"archive\.tar is a file; set dataset\.root to the folder that"):
        layout.categories(tmp_path / "archive.tar")


def test_a_root_may_be_relative(tree: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    root, layout = tree(BTAD), LAYOUTS.build("btad")
    monkeypatch.chdir(root)
    assert layout.categories(Path()) == ["01", "02", "03"]
    monkeypatch.chdir(root / "01")
    with pytest.raises(DataError, match=f"give its parent folder {root}$"):
        layout.categories(Path())


def test_looking_for_the_right_root_raises_no_other_error(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir()  # would be looked into

    def find(folder: Path) -> Iterable[str]:
        raise PermissionError(13, "Permission denied", str(folder))

    with pytest.raises(DataError, match=r"has no folder of parts; set dataset\.root to the folder of the categories"):
        categories_or_error(tmp_path, [], "folder of parts", find=find)


def of_kind(threshold: float, *, relative: bool) -> DefectKind:
    return DefectKind(defect_name="dent", pixel_value=255, saturation_threshold=threshold, relative_saturation=relative)


@pytest.mark.parametrize(
    ("threshold", "relative", "area", "expected"),
    [
        (6300, False, 10_000, 6300),
        (6300, False, 6300, 6300),
        (6300, False, 5000, 5000),  # no more than there is can be found
        (1.0, True, 7, 7),
        (0.5, True, 8, 4),
        (0.5, True, 7, 3),  # 3.5, cut off
        (0.29, True, 100, 28),  # 28.999999999999996 in floating point, cut off as by the authors' code
        (0.1, True, 5, 1),  # 0.5, but a defect of which nothing must be found would be no defect
    ],
)
def test_the_saturation_area_is_that_of_the_authors(threshold: float, relative: bool, area: int, expected: int) -> None:
    assert of_kind(threshold, relative=relative).saturation_area(area) == expected


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "defects_config.json"
    path.write_text(json.dumps(PUSHPINS))
    return path


def marked(value: int, rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[rows, columns] = value
    return mask


def test_every_mask_file_is_a_region_even_where_two_overlap(tmp_path: Path, config: Path, write_png: WritePng) -> None:
    write_png(tmp_path / "000/000.png", marked(255, slice(0, 4), slice(0, 5)))
    write_png(tmp_path / "000/001.png", marked(240, slice(2, 5), slice(3, 6)))
    write_png(tmp_path / "000/002.png", marked(255, slice(10, 12), slice(0, 2)))
    regions = read_regions(tmp_path / "000", HEIGHT, WIDTH, config)
    summary = [(region.defect_name, int(region.pixels.sum()), region.saturation_area) for region in regions]
    assert summary == [("missing_pushpin", 20, 6), ("color", 9, 4), ("missing_pushpin", 4, 4)]
    assert all(region.pixels.dtype == bool and region.pixels.shape == (HEIGHT, WIDTH) for region in regions)
    assert np.array_equal(regions[1].pixels, marked(1, slice(2, 5), slice(3, 6)) == 1)
    assert int((regions[0].pixels & regions[1].pixels).sum()) == 2 * 2


def saturated_overlap(predicted: np.ndarray, region: Region) -> float:
    """The sPRO of one region, as in the paper."""
    return min((predicted & region.pixels).sum() / region.saturation_area, 1)


def test_the_saturated_overlap_of_a_prediction_is_that_counted_by_hand(
    tmp_path: Path, config: Path, write_png: WritePng
) -> None:
    write_png(tmp_path / "000/000.png", marked(255, slice(0, 4), slice(0, 5)))
    write_png(tmp_path / "000/001.png", marked(240, slice(2, 5), slice(3, 6)))
    missing, colour = read_regions(tmp_path / "000", HEIGHT, WIDTH, config)
    predicted = np.zeros((HEIGHT, WIDTH), bool)
    predicted[0, 0:3] = True
    assert saturated_overlap(predicted, missing) == 3 / 6
    assert saturated_overlap(predicted, colour) == 0
    predicted[2:5, 3] = True
    assert saturated_overlap(predicted, missing) == 5 / 6
    assert saturated_overlap(predicted, colour) == 3 / 4
    predicted[:] = True
    assert saturated_overlap(predicted, missing) == saturated_overlap(predicted, colour) == 1


def test_a_defect_may_fill_its_image_and_its_mask_may_be_a_file(
    tmp_path: Path, config: Path, write_png: WritePng
) -> None:
    mask = write_png(tmp_path / "000.png", np.full((HEIGHT, WIDTH), 240, np.uint8))
    (region,) = read_regions(mask, HEIGHT, WIDTH, config)
    assert region.saturation_area == HEIGHT * WIDTH // 2


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (None, "the mask folder .*000 contains no images"),
        (np.zeros((HEIGHT, WIDTH), np.uint8), "must mark one defect with one non-zero pixel value, not: none"),
        (
            np.maximum(marked(255, slice(0, 1), slice(0, 1)), marked(240, slice(5, 6), slice(0, 1))),
            "one non-zero pixel value, not: 240, 255; replace it",
        ),
        (marked(17, slice(0, 1), slice(0, 1)), r"has the pixel value 17, which .*json does not list .* 240, 255\)"),
        (np.full((HEIGHT, WIDTH, 3), 255, np.uint8), "has colour, but its pixel value identifies the defect"),
        (marked(255, slice(0, 1), slice(0, 1))[1:], "is 16 x 11 pixels but its image is 16 x 12"),
    ],
)
def test_a_mask_that_is_no_single_known_defect_is_an_error(
    tmp_path: Path, config: Path, write_png: WritePng, mask: np.ndarray | None, message: str
) -> None:
    (tmp_path / "000").mkdir()
    if mask is not None:
        write_png(tmp_path / "000/000.png", mask)
    with pytest.raises(DataError, match=message) as caught:
        read_regions(tmp_path / "000", HEIGHT, WIDTH, config)
    assert "\n" not in str(caught.value)


def changed(**change: object) -> str:
    return json.dumps([{**PUSHPINS[0], **change}])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"defects_config\.json cannot be read \(No such file or directory\), but defines the"),
        ("", "is not a list of defects with saturation thresholds: invalid JSON"),
        ('{"a": 1}', "it must be a list"),
        ('[{"defect_name": "dent"}]', "entry 1 pixel_value: field required; put back the file"),
        (changed(pixel_value=0), "entry 1 pixel_value: it must be at least 1"),
        (changed(pixel_value=256), "entry 1 pixel_value: it must be at most 255"),
        (changed(pixel_value="255"), "entry 1 pixel_value: it must be a whole number"),
        (changed(saturation_threshold=0), "saturation_threshold: it must be greater than 0"),
        (changed(saturation_threshold=0.5), "entry 1: an absolute saturation_threshold is a whole number of pixels"),
        (changed(relative_saturation=True), r"entry 1: a relative saturation_threshold is in \(0, 1\]"),
        (changed(relative_saturation="no"), "relative_saturation: it must be true or false"),
        (json.dumps([PUSHPINS[0], PUSHPINS[0]]), "has two entries with the same pixel_value"),
    ],
)
def test_a_wrong_table_of_defects_is_an_error_before_anything_is_computed(
    loco: Path, text: str | None, message: str
) -> None:
    path = loco / "pushpins/defects_config.json"
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        LAYOUTS.build("mvtec_loco").items(loco, "pushpins")
    assert "\n" not in str(caught.value)


def test_the_table_of_defects_is_read_by_pixel_value(config: Path) -> None:
    kinds = read_defect_kinds(config)
    assert {value: kind.defect_name for value, kind in kinds.items()} == {255: "missing_pushpin", 240: "color"}
