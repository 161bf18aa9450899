"""The data sets that nothing is wrong with, as small as can be."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

import yaml

from damages import draw, draw_mask
from fault import CATALOGUE, Sound
from file_server import FileServer, ServedFile

TILE = "images/tile"
URL = "/MPDD.zip"


def draw_tile(folder: str | Path) -> None:
    """A category in MVTec AD's layout: three good images to train on, two good and two cracked ones to test."""
    folder = Path(folder)
    for index in range(3):
        draw(folder / f"train/good/{index}.png", seed=index)
    draw(folder / "test/good/0.png", seed=10)
    draw(folder / "test/good/1.jpg", seed=11, quality=95)
    for index in range(2):
        draw(folder / f"test/crack/{index}.png", seed=20 + index)
        draw_mask(folder / f"ground_truth/crack/{index}_mask.png")


@cache
def archived_files() -> dict[str, bytes]:
    """The files of the data set that is downloaded, by their names in its archive."""
    with TemporaryDirectory() as folder:
        draw_tile(Path(folder, "MPDD/tile"))
        paths = sorted(path for path in Path(folder).rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


@cache
def archive() -> bytes:
    """The archive of the data set that is downloaded, a zip."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in archived_files().items():
            file.writestr(zipfile.ZipInfo(name), data)
    return content.getvalue()


def described(server: FileServer, urls: Sequence[str] = (URL,), **changes: Any) -> str:
    """A catalogue, with changes to what it says of the archive; addresses may be paths on the server."""
    content = archive()
    described = {
        "file": "MPDD.zip",
        "urls": [url if "://" in url else server.endpoint + url for url in urls],
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": len(content),
        "verified": "drawn for tests",
    }
    facts = {
        "title": "MPDD",
        "citation": "nobody",
        "licence": "none",
        "homepage": "https://example.org/mpdd",
        "categories": {"tile": {"train": 3, "test": 4}},
        "root": "MPDD",
        "unpacked_bytes": sum(map(len, archived_files().values())),
        "archives": [{**described, **changes}],
    }
    return yaml.safe_dump({"mpdd": facts})


def describe(server: FileServer, urls: Sequence[str] = (URL,), **changes: Any) -> None:
    """Write a catalogue for the working directory."""
    CATALOGUE.write_text(described(server, urls, **changes), encoding="utf-8")


def _serve(server: FileServer) -> None:
    server.files[URL] = ServedFile(archive())


def _mvtec(server: FileServer) -> None:
    draw_tile(TILE)


def _folder(server: FileServer) -> None:
    for index, name in enumerate(("a.png", "b.jpg", "line 2/c.png")):
        draw(f"photographs/{name}", seed=index)
    for index in range(2):
        draw(f"good/{index}.png", seed=10 + index)


def _table(server: FileServer) -> None:
    draw_tile("photographs")
    Path("table.csv").write_text(
        "path,category,split,label,defect_type,mask_path\n"
        "photographs/train/good/0.png,lid,train,good,,\n"
        "photographs/train/good/1.png,lid,train,good,,\n"
        "photographs/test/good/0.png,lid,test,good,,\n"
        "photographs/test/good/1.jpg,lid,,,,\n"
        "photographs/test/crack/0.png,lid,test,defective,crack,photographs/ground_truth/crack/0_mask.png\n"
    )


def _visa(server: FileServer) -> None:
    for index in range(4):
        draw(f"visa/candle/Data/Images/Normal/{index}.JPG", seed=index)
    draw("visa/candle/Data/Images/Anomaly/0.JPG", seed=10)
    draw_mask("visa/candle/Data/Masks/Anomaly/0.png")
    table = Path("visa/split_csv/1cls.csv")
    table.parent.mkdir()
    table.write_text(
        "object,split,label,image,mask\n"
        "candle,train,normal,candle/Data/Images/Normal/0.JPG,\n"
        "candle,train,normal,candle/Data/Images/Normal/1.JPG,\n"
        "candle,test,normal,candle/Data/Images/Normal/2.JPG,\n"
        "candle,test,normal,candle/Data/Images/Normal/3.JPG,\n"
        "candle,test,anomaly,candle/Data/Images/Anomaly/0.JPG,candle/Data/Masks/Anomaly/0.png\n"
    )


def _real_iad(server: FileServer) -> None:
    for index in range(4):
        draw(f"iad/realiad_1024/tape/OK/S{index}/C1.jpg", seed=index)
    draw("iad/realiad_1024/tape/NG/HS/S9/C1.jpg", seed=10)
    draw_mask("iad/realiad_1024/tape/NG/HS/S9/C1.png")
    good = [
        {"category": "tape", "anomaly_class": "OK", "image_path": f"OK/S{index}/C1.jpg", "mask_path": None}
        for index in range(4)
    ]
    scratched = {
        "category": "tape",
        "anomaly_class": "HS",
        "image_path": "NG/HS/S9/C1.jpg",
        "mask_path": "NG/HS/S9/C1.png",
    }
    content = {"meta": {"prefix": "tape/", "normal_class": "OK"}, "train": good[:2], "test": [*good[2:], scratched]}
    table = Path("iad/realiad_jsons/tape.json")
    table.parent.mkdir()
    table.write_text(json.dumps(content))


def _loco(server: FileServer) -> None:
    for index in range(3):
        draw(f"loco/pushpins/train/good/{index}.png", seed=index)
        draw(f"loco/pushpins/test/good/{index}.png", seed=10 + index)
    draw("loco/pushpins/test/logical_anomalies/0.png", seed=20)
    for defect in range(2):
        draw_mask(f"loco/pushpins/ground_truth/logical_anomalies/0/{defect}.png")
    kind = {
        "defect_name": "missing_pushpin",
        "pixel_value": 255,
        "saturation_threshold": 20,
        "relative_saturation": False,
    }
    Path("loco/pushpins/defects_config.json").write_text(json.dumps([kind]))


def _labelled(server: FileServer) -> None:
    draw_tile(TILE)
    draw(f"{TILE}/test/good/2.png", seed=12)
    draw(f"{TILE}/test/crack/2.png", seed=22)
    for kind, seed in (("crack", 30), ("good", 40)):
        for index in range(2):
            draw(f"examples/{kind}/{index}.png", seed=seed + index)


# All that the way from images to tables has; what is only about which images there are needs less.
IMAGES = Sound("images", _mvtec, {"layout": "mvtec", "root": "images"})
SHORT: Mapping[str, Any] = MappingProxyType({"methods__memory_bank": None, "refiners": {}})
# What is called good is not read again by what outlines defects.
CALLED: Mapping[str, Any] = MappingProxyType({"threshold": {"rule": "fixed", "params": {"image": -1.0, "pixel": -1.0}}})
ALL_CALLED = Sound("images, all called defective", _mvtec, {"layout": "mvtec", "root": "images"}, CALLED)
FOLDER = Sound("folder", _folder, {"layout": "folder", "root": "photographs", "params": {"references": "good"}})
TABLE = Sound("table", _table, {"layout": "csv", "root": "table.csv"}, SHORT)
VISA = Sound("visa", _visa, {"layout": "visa", "root": "visa"}, SHORT)
REAL_IAD = Sound("real_iad", _real_iad, {"layout": "real_iad", "root": "iad"}, SHORT)
LOCO = Sound("loco", _loco, {"layout": "mvtec_loco", "root": "loco"}, SHORT)
NEAREST: Mapping[str, Any] = MappingProxyType(
    {"classifier": "nearest_exemplar", "shots": [1], "calibration": 1, "seeds": [0]}
)
LABELLED = Sound(
    "labelled examples",
    _labelled,
    {"layout": "mvtec", "root": "images"},
    {
        "methods": {"mutual": {"scorer": "mutual"}},
        "refiners": {},
        "supports": {"shelf": {"folder": "examples"}},
        "classifiers": {"nearest": {**NEAREST}, "beside": {**NEAREST, "support": "shelf"}},
    },
)
DOWNLOADED = Sound("downloaded", describe, {"layout": "mpdd"}, SHORT, serve=_serve)
