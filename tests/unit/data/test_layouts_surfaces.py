"""Magnetic Tile Defects, KolektorSDD2 and Real-IAD: small trees in the original arrangement."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zsad.data.layouts.base import Layout
from zsad.data.layouts.magnetic_tile import SERIES_GAP, Photograph, fraction_of, series_of
from zsad.data.layouts.real_iad import DEFECT_TYPES
from zsad.data.layouts.registry import LAYOUTS
from zsad.errors import ConfigError, DataError

WritePng = Callable[..., Path]
Tree = Callable[[str], Path]
HEIGHT, WIDTH = 12, 16


@pytest.fixture
def tree(tmp_path: Path, write_png: WritePng) -> Tree:
    """Write the files of a data set and return its root; ``!`` after a name stands for a mask that marks something."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[:4, :5] = 255

    def write(listing: str) -> Path:
        root = tmp_path / "root"
        for name in listing.strip().splitlines():
            path = root / name.strip().removesuffix("!")
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix.lower() not in (".png", ".jpg"):
                path.write_bytes(b"\x80pickled")
            elif name.endswith("!"):
                write_png(path, mask)
            else:
                is_empty_mask = path.stem.endswith("_GT") or path.with_suffix(".jpg").exists()
                write_png(path, np.zeros_like(mask) if is_empty_mask else None, size=(HEIGHT, WIDTH))
        return root

    return write


def found(layout: Layout, root: Path, category: str) -> dict[str, tuple[Any, ...]]:
    """Split, label, defect type and mask of each image, as the manifest has them."""
    return {
        record.image_id: (
            record.split,
            record.label,
            record.defect_type,
            Path(record.mask_path).relative_to(root).as_posix() if record.mask_path else "",
        )
        for record in layout.records(root, category)
    }


# Magnetic Tile Defects. The names are real, the photographs are not.
MAGNETIC_TILE = """
    MT_Blowhole/Imgs/exp1_num_4727.jpg
    MT_Blowhole/Imgs/exp1_num_4727.png!
    MT_Blowhole/Imgs/exp2_num_4748.jpg
    MT_Blowhole/Imgs/exp2_num_4748.PNG!
    MT_Break/Imgs/exp3_num_148977.jpg
    MT_Break/Imgs/exp3_num_148977.png!
    MT_Crack/Imgs/exp2_num_116527.jpg
    MT_Crack/Imgs/exp2_num_116527.png!
    MT_Fray/Imgs/exp1_num_20362.JPG
    MT_Fray/Imgs/exp1_num_20362.png!
    MT_Free/Imgs/exp1_num_147928.jpg
    MT_Free/Imgs/exp1_num_147928.png
    MT_Free/Imgs/exp3_num_147971.jpg
    MT_Free/Imgs/exp3_num_147971.png
    MT_Free/Imgs/exp4_num_147986.jpg
    MT_Free/Imgs/exp4_num_147986.png
    MT_Free/Imgs/exp4_num_148998.jpg
    MT_Free/Imgs/exp4_num_148998.png
    MT_Uneven/Imgs/exp1_num_45007.jpg
    MT_Uneven/Imgs/exp1_num_45007.png!
    README.md
    dataset.jpg
"""


def test_the_folders_of_magnetic_tile_are_defect_types_and_its_masks_lie_beside_the_photographs(tree: Tree) -> None:
    root, layout = tree(MAGNETIC_TILE), LAYOUTS.build("magnetic_tile", {"train_share": 0})
    assert layout.categories(root) == ["magnetic_tile"]
    defective = {
        "MT_Blowhole/Imgs/exp1_num_4727.jpg": ("blowhole", "MT_Blowhole/Imgs/exp1_num_4727.png"),
        "MT_Blowhole/Imgs/exp2_num_4748.jpg": ("blowhole", "MT_Blowhole/Imgs/exp2_num_4748.PNG"),
        "MT_Break/Imgs/exp3_num_148977.jpg": ("break", "MT_Break/Imgs/exp3_num_148977.png"),
        "MT_Crack/Imgs/exp2_num_116527.jpg": ("crack", "MT_Crack/Imgs/exp2_num_116527.png"),
        "MT_Fray/Imgs/exp1_num_20362.JPG": ("fray", "MT_Fray/Imgs/exp1_num_20362.png"),
        "MT_Uneven/Imgs/exp1_num_45007.jpg": ("uneven", "MT_Uneven/Imgs/exp1_num_45007.png"),
    }
    frames = ("exp1_num_147928", "exp3_num_147971", "exp4_num_147986", "exp4_num_148998")
    assert found(layout, root, "magnetic_tile") == {
        **{name: ("test", 1, kind, mask) for name, (kind, mask) in defective.items()},
        **{f"MT_Free/Imgs/{frame}.jpg": ("test", 0, "good", "") for frame in frames},
    }
    assert len(layout.files(root, "magnetic_tile")) == 10 + 6
    assert not layout.remarks(root, "magnetic_tile")


def test_a_free_photograph_of_a_tile_with_a_defect_is_never_for_training(tree: Tree) -> None:
    root, layout = tree(MAGNETIC_TILE), LAYOUTS.build("magnetic_tile", {"train_share": 0.999})
    training = {name for name, facts in found(layout, root, "magnetic_tile").items() if facts[0] == "train"}
    # 148998 is 21 frames after the break at 148977, the other three are a thousand frames before it
    assert training == {
        f"MT_Free/Imgs/{frame}.jpg" for frame in ("exp1_num_147928", "exp3_num_147971", "exp4_num_147986")
    }


def test_a_photograph_without_its_mask_stays_and_a_mask_without_its_photograph_is_reported(tree: Tree) -> None:
    root = tree(MAGNETIC_TILE + "MT_Crack/Imgs/exp1_num_9.jpg\nMT_Crack/Imgs/exp1_num_8.png!\nMT_Crack/Imgs/a.png")
    layout = LAYOUTS.build("magnetic_tile")
    assert found(layout, root, "magnetic_tile")["MT_Crack/Imgs/exp1_num_9.jpg"] == ("test", 1, "crack", "")
    assert layout.remarks(root, "magnetic_tile") == [
        "2 images in Imgs are left out, since they are neither a photograph (.jpg) nor its mask (.png)"
    ]


def photographs(*names: str) -> list[Photograph]:
    frames = [int(name.rpartition("_")[2]) if "_num_" in name else None for name in names]
    return [
        Photograph(Path(f"{name}.jpg"), kind="free", frame=frame, mask=None)
        for name, frame in zip(names, frames, strict=True)
    ]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], []),
        (["exp6_num_116623", "exp2_num_116527", "exp3_num_116541"], [[116527, 116541, 116623]]),
        (["exp2_num_249619", "exp4_num_249762"], [[249619, 249762]]),  # one crack, 143 frames apart
        (["exp4_num_147986", "exp4_num_148998"], [[147986], [148998]]),
        (["exp1_num_0", f"exp1_num_{SERIES_GAP}"], [[0], [SERIES_GAP]]),
        (["exp1_num_0", f"exp1_num_{SERIES_GAP - 1}"], [[0, SERIES_GAP - 1]]),
        (["exp1_num_100", "exp1_num_99"], [[99, 100]]),  # by number, not by letters
        (["tile b", "exp1_num_5", "tile a"], [[5], [None], [None]]),
    ],
)
def test_photographs_in_a_row_are_a_series(names: list[str], expected: list[list[int | None]]) -> None:
    assert [[one.frame for one in series] for series in series_of(photographs(*names))] == expected


def test_a_tile_is_never_in_training_and_test_both_and_four_fifths_are_for_training(tmp_path: Path) -> None:
    folder = tmp_path / "MT_Free/Imgs"
    folder.mkdir(parents=True)
    for tile in range(300):
        for exposure in range(1, 5):
            (folder / f"exp{exposure}_num_{1000 * tile + 20 * exposure}.jpg").touch()
    layout = LAYOUTS.build("magnetic_tile")
    splits: dict[int, set[str]] = {}
    for item in layout.items(tmp_path, "magnetic_tile"):
        splits.setdefault(int(item.path.stem.rpartition("_")[2]) // 1000, set()).add(item.split)
    assert all(len(split) == 1 for split in splits.values())
    assert sum(split == {"train"} for split in splits.values()) == pytest.approx(0.8 * 300, abs=3 * 7)  # 3 sigma

    before = {item.image_id: item.split for item in layout.items(tmp_path, "magnetic_tile")}
    (folder / "exp1_num_500.jpg").touch()  # a tile between the first and the second
    after = {item.image_id: item.split for item in layout.items(tmp_path, "magnetic_tile")}
    assert after.items() > before.items()


def test_the_draw_is_the_same_on_every_machine_and_grows_with_the_share() -> None:
    # python3 -c "import hashlib; print(int(hashlib.sha256(b'exp1_num_147928').hexdigest()[:12], 16) / 16**12)"
    assert fraction_of("exp1_num_147928") == pytest.approx(0.14549263655333533, abs=1e-12)
    fractions = [fraction_of(f"exp1_num_{frame}") for frame in range(1000)]
    assert min(fractions) >= 0
    assert max(fractions) < 1
    assert np.mean(fractions) == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("share", [-0.1, 1, 1.5])
def test_a_share_of_all_or_less_than_none_is_an_error(share: float) -> None:
    with pytest.raises(ConfigError, match=r"train_share = .* is not valid"):
        LAYOUTS.build("magnetic_tile", {"train_share": share})


# KolektorSDD2.
KOLEKTOR_SDD2 = """
    split_weakly_0.pyb
    train/10000.png
    train/10000_GT.png
    train/10001.png
    train/10001_GT.png
    train/10301.png
    train/10301_GT.png!
    train/10301 (copy).png
    train/10301_GT (copy).png!
    test/20000.png
    test/20000_GT.png
    test/20002.png
    test/20002_GT.png!
"""


def test_the_masks_of_kolektor_sdd2_tell_what_is_defective(tree: Tree) -> None:
    root, layout = tree(KOLEKTOR_SDD2), LAYOUTS.build("kolektor_sdd2")
    assert layout.categories(root) == ["kolektor_sdd2"]
    assert found(layout, root, "kolektor_sdd2") == {
        "test/20000.png": ("test", 0, "good", ""),
        "test/20002.png": ("test", 1, "defect", "test/20002_GT.png"),
        "train/10000.png": ("train", 0, "good", ""),
        "train/10001.png": ("train", 0, "good", ""),
    }
    assert len(layout.files(root, "kolektor_sdd2")) == 2 * 5  # with the defective training image, which masks tell


def test_what_kolektor_sdd2_leaves_out_is_said(tree: Tree) -> None:
    rule, copies = LAYOUTS.build("kolektor_sdd2").remarks(tree(KOLEKTOR_SDD2), "kolektor_sdd2")
    assert rule.startswith("the defective training images, whose mask <number>_GT.png")
    assert copies == (
        "'train/10301 (copy).png', 'train/10301_GT (copy).png': left out, since they are neither <number>.png nor a "
        "mask <number>_GT.png"
    )


@pytest.mark.parametrize("mask", ["train/10001_GT.png", "test/20002_GT.png"])
def test_an_image_of_kolektor_sdd2_without_its_mask_is_an_error_not_a_good_image(tree: Tree, mask: str) -> None:
    root = tree(KOLEKTOR_SDD2)
    (root / mask).unlink()
    with pytest.raises(DataError, match=rf"has no mask {Path(mask).name} beside it.*; unpack the whole archive$"):
        LAYOUTS.build("kolektor_sdd2").items(root, "kolektor_sdd2")


def test_train_and_test_alone_do_not_make_kolektor_sdd2(tree: Tree) -> None:
    with pytest.raises(DataError, match="has no folders 'train' and 'test' with <number>"):
        LAYOUTS.build("kolektor_sdd2").categories(tree("train/good/000.png\ntest/good/000.png"))


# Real-IAD.
OK = "OK/S0001/audiojack_0001_OK_C{}_20231021130235"
NG = "NG/HS/S0007/audiojack_0007_NG_HS_C{}_20230921101010"
REAL_IAD = f"""
    realiad_1024/audiojack/{OK.format(1)}.jpg
    realiad_1024/audiojack/{OK.format(2)}.jpg
    realiad_1024/audiojack/{NG.format(1)}.jpg
    realiad_1024/audiojack/{NG.format(1)}.png!
    realiad_1024/audiojack/{NG.format(2)}.jpg
"""


def entry(path: str, code: str = "OK") -> dict[str, str | None]:
    mask = None if code == "OK" else f"{path}.png"
    return {"category": "audiojack", "anomaly_class": code, "image_path": f"{path}.jpg", "mask_path": mask}


def audiojack() -> dict[str, Any]:
    return {
        "meta": {"prefix": "audiojack/", "normal_class": "OK", "pre_transform": None},
        "train": [entry(OK.format(2)), entry(OK.format(1))],
        "test": [entry(NG.format(1), "HS"), entry(NG.format(2))],
    }


@pytest.fixture
def real_iad(tree: Tree) -> Path:
    root = tree(REAL_IAD)
    (root / "realiad_jsons").mkdir()
    (root / "realiad_jsons/audiojack.json").write_text(json.dumps(audiojack()))
    return root


def test_the_class_of_the_entry_not_the_folder_tells_the_label_of_real_iad(real_iad: Path) -> None:
    layout = LAYOUTS.build("real_iad")
    assert layout.categories(real_iad) == ["audiojack"]
    assert found(layout, real_iad, "audiojack") == {
        f"{OK.format(1)}.jpg": ("train", 0, "good", ""),
        f"{OK.format(2)}.jpg": ("train", 0, "good", ""),
        f"{NG.format(1)}.jpg": ("test", 1, "scratch", f"realiad_1024/audiojack/{NG.format(1)}.png"),
        f"{NG.format(2)}.jpg": ("test", 0, "good", ""),  # the scratch is not to be seen from there
    }
    assert len(layout.files(real_iad, "audiojack")) == 4 + 1 + 1
    assert not layout.remarks(real_iad, "audiojack")


@pytest.mark.parametrize(("code", "defect"), [*DEFECT_TYPES.items(), ("XX", "XX")])
def test_defect_types_of_real_iad_have_names(real_iad: Path, code: str, defect: str) -> None:
    content = audiojack()
    content["test"][0]["anomaly_class"] = code
    (real_iad / "realiad_jsons/audiojack.json").write_text(json.dumps(content))
    items = LAYOUTS.build("real_iad").items(real_iad, "audiojack")
    assert {item.defect_type for item in items} == {"good", defect}


@pytest.mark.parametrize("folder", ["realiad_jsons_sv", "realiad_jsons/realiad_jsons_sv"])
def test_the_json_files_of_real_iad_may_lie_a_folder_deeper(real_iad: Path, folder: str) -> None:
    content = audiojack() | {"train": [entry(OK.format(1))]}
    (real_iad / folder).mkdir()
    (real_iad / folder / "audiojack.json").write_text(json.dumps(content))
    layout = LAYOUTS.build("real_iad", {"protocol": "realiad_jsons_sv"})
    assert layout.tables(real_iad, "audiojack") == [real_iad / folder / "audiojack.json"]
    assert [item.split for item in layout.items(real_iad, "audiojack")].count("train") == 1
    assert len(LAYOUTS.build("real_iad").items(real_iad, "audiojack")) == 4


def test_the_defective_training_images_of_an_unclean_training_set_are_left_out_and_that_is_said(real_iad: Path) -> None:
    content = audiojack()
    content["train"].append(content["test"].pop(0))
    (real_iad / "realiad_jsons_fuiad_0.4").mkdir()
    (real_iad / "realiad_jsons_fuiad_0.4/audiojack.json").write_text(json.dumps(content))
    layout = LAYOUTS.build("real_iad", {"protocol": "realiad_jsons_fuiad_0.4"})
    assert {facts[:2] for facts in found(layout, real_iad, "audiojack").values()} == {("train", 0), ("test", 0)}
    assert layout.remarks(real_iad, "audiojack") == [
        (
            "the defective training images of audiojack (1) are left out, since all methods here are "
            "trained only on normal images: results are not comparable with published ones for "
            "realiad_jsons_fuiad_0.4"
        )
    ]


def test_a_size_of_real_iad_may_be_a_number_and_one_that_is_there_is_proposed(real_iad: Path) -> None:
    (real_iad / "realiad_1024").rename(real_iad / "realiad_512")
    assert LAYOUTS.build("real_iad", {"resolution": 512}).categories(real_iad) == ["audiojack"]
    with pytest.raises(
        DataError, match=r"images not in realiad_1024 but in realiad_512; set dataset\.params\.resolution to '512'$"
    ):
        LAYOUTS.build("real_iad").categories(real_iad)
    with pytest.raises(ConfigError, match="resolution = '448' is not valid; choose from: 256, 512, 1024"):
        LAYOUTS.build("real_iad", {"resolution": 448})


def edited(*steps: str | int, value: Any) -> str:
    """The JSON file with one thing changed, or taken out where the value is None."""
    content = audiojack()
    place: Any = content
    for step in steps[:-1]:
        place = place[step]
    if value is None:
        del place[steps[-1]]
    else:
        place[steps[-1]] = value
    return json.dumps(content)


PATH = ("train", 0, "image_path")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"audiojack\.json does not exist; unpack realiad_jsons\.zip or set dataset\.params\.protocol$"),
        ("", r"audiojack\.json is not JSON \(EOF while parsing"),
        (json.dumps(audiojack())[:-40], r"audiojack\.json is not JSON \(.*\); take the file from realiad_jsons\.zip"),
        ("[]", r"audiojack\.json, the whole file: it must hold keys and values"),
        (edited("meta", value=None), r"audiojack\.json has no meta; take the file"),
        (edited("meta", "normal_class", value=None), r"audiojack\.json has no meta\.normal_class; "),
        (edited("meta", "prefix", value=None), r"audiojack\.json has no meta\.prefix; "),
        (edited("test", value=None), r"audiojack\.json has no test; "),
        (edited("test", 1, "anomaly_class", value=None), r"audiojack\.json has no test\[1\]\.anomaly_class; "),
        (edited(*PATH, value=None), r"audiojack\.json has no train\[0\]\.image_path; "),
        (edited(*PATH, value=7), r"audiojack\.json, train\[0\]\.image_path: it must be text; "),
        (edited("train", value={}), r"audiojack\.json, train: it must be a list; "),
        (
            edited(*PATH, value="OK/a.jpg"),
            r"audiojack\.json, train\[0\]: the image .*audiojack/OK/a.jpg does not exist",
        ),
        (edited(*PATH, value=f"{OK.format(1)}.jpg"), r"train\[1\]: OK/S0001/.*_C1_.*\.jpg is listed twice"),
        (edited(*PATH, value="../usb/a.jpg"), r"train\[0\]: the image is 'audiojack/\.\./usb/a\.jpg', which is not"),
        (
            edited(*PATH, value="/etc/passwd"),
            r"the image is '/etc/passwd', which is not a path that starts with 'audio",
        ),
        (edited("meta", "prefix", value="../"), r"which is not a path that starts with 'audiojack/'; correct it"),
        (edited("meta", "prefix", value="usb/"), r"the image is 'usb/OK/.*', which is not a path that starts"),
        (edited("test", 0, "mask_path", value="NG/a.png"), r"test\[0\]: the mask .*NG/a\.png does not exist; unpack"),
        (edited("test", 0, "mask_path", value="../../a.png"), r"test\[0\]: the mask is .*, which is not a path that"),
    ],
)
def test_a_wrong_json_file_of_real_iad_is_an_error_of_one_sentence(
    real_iad: Path, content: str | None, message: str
) -> None:
    table = real_iad / "realiad_jsons/audiojack.json"
    table.unlink() if content is None else table.write_text(content)
    with pytest.raises(DataError, match=message) as caught:
        LAYOUTS.build("real_iad").items(real_iad, "audiojack")
    assert "\n" not in str(caught.value)


def test_a_defective_image_of_real_iad_may_have_no_mask(real_iad: Path) -> None:
    (real_iad / "realiad_jsons/audiojack.json").write_text(edited("test", 0, "mask_path", value=None))
    assert found(LAYOUTS.build("real_iad"), real_iad, "audiojack")[f"{NG.format(1)}.jpg"] == ("test", 1, "scratch", "")


TREES = {"magnetic_tile": MAGNETIC_TILE, "kolektor_sdd2": KOLEKTOR_SDD2, "real_iad": REAL_IAD}


@pytest.mark.parametrize("name", TREES)
def test_a_wrong_root_is_named_together_with_the_right_one(tree: Tree, tmp_path: Path, name: str) -> None:
    root, layout = tree(TREES[name]), LAYOUTS.build(name)
    with pytest.raises(DataError, match=r"has no folder.* must have; ") as caught:
        layout.categories(tmp_path)  # the folder that the archive was unpacked into
    assert str(caught.value).endswith(f"; set dataset.root to {root}")
    inner = next(path for path in sorted(root.iterdir()) if path.is_dir())
    with pytest.raises(DataError, match=r"has no folder.* must have; "):
        layout.categories(inner)
    with pytest.raises(DataError, match=r"nowhere does not exist; set dataset\.root to"):
        layout.categories(tmp_path / "nowhere")
    (tmp_path / "archive.zip").touch()
    with pytest.raises(DataError, match=r"archive\.zip is a file; set dataset\.root to the folder that"):
        layout.categories(tmp_path / "archive.zip")
