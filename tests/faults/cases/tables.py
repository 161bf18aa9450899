"""Tables that say which images there are, and what they are: the user's own, and those of published data sets."""

from __future__ import annotations

from pathlib import Path

from cases.sound import LOCO, REAL_IAD, TABLE, VISA
from damages import appended, cut, edited, in_turn, moved, removed, written
from fault import ALL, Fault, Place

OWN = "table.csv"
SPLIT = "visa/split_csv/1cls.csv"
JSON = "iad/realiad_jsons/tape.json"
DEFECTS = "loco/pushpins/defects_config.json"
LAST = "photographs/test/crack/0.png,lid,test,defective,crack,photographs/ground_truth/crack/0_mask.png"


def with_carriage_returns_and_mark(place: Place) -> None:
    """As a spreadsheet saves it: a byte order mark, Windows line ends, semicolons."""
    text = Path(OWN).read_text().replace(",", ";").replace("\n", "\r\n")
    Path(OWN).write_bytes(b"\xef\xbb\xbf" + text.encode())


USERS_OWN = (
    Fault("table that does not exist", TABLE, moved(OWN, "list.csv"), r"the table table\.csv does not exist; set"),
    Fault("table of no bytes", TABLE, written(OWN, ""), r"the table table\.csv has no column 'path'"),
    Fault("table of a header alone", TABLE, written(OWN, "path,label\n"), r"the table table\.csv lists no image"),
    Fault("table without the column path", TABLE, edited(OWN, "path,category", "file,category"), r"column 'file'"),
    Fault(
        "table with a misspelt column",
        TABLE,
        edited(OWN, "defect_type", "defect"),
        r"the table table\.csv has an unknown column 'defect'; did you mean 'defect_type'\?",
    ),
    Fault(
        "table with a column twice",
        TABLE,
        edited(OWN, "category,split", "split,split"),
        r"the table table\.csv has two columns 'split'; remove one of them",
    ),
    Fault(
        "table with a label that means nothing",
        TABLE,
        edited(OWN, "test,good", "test,so-so"),
        r"table\.csv, line 4: the label is 'so-so'; it must be one of unknown, good",
    ),
    Fault(
        "table with a split that no method uses",
        TABLE,
        edited(OWN, "lid,train,good,,\nphotographs/train/good/1", "lid,val,good,,\nphotographs/train/good/1"),
        (r"table\.csv, line 2: the split is 'val', but no method here uses validation images; set it to " r"'test'"),
    ),
    Fault(
        "table with other words for labels and splits",
        TABLE,
        in_turn(edited(OWN, "test,good", "Test,n.i.O."), edited(OWN, "lid,train,good", "lid,TRAIN,pass")),
        alters=ALL,
    ),
    Fault(
        "table with a split that means nothing",
        TABLE,
        edited(OWN, "lid,train,good,,\nphotographs/train/good/1", "lid,some,good,,\nphotographs/train/good/1"),
        r"table\.csv, line 2: the split is 'some'; it must be one of test, train, or empty",
    ),
    Fault(
        "table with an image twice",
        TABLE,
        appended(OWN, LAST + "\n"),
        r"table\.csv, line 7: photographs/test/crack/0\.png is already in line 6; remove one of the two",
    ),
    Fault(
        "table with an image twice by another spelling",
        TABLE,
        appended(OWN, LAST.replace("test/crack", "test/../test/crack", 1) + "\n"),
        r"table\.csv, line 7: .* is already in line 6",
    ),
    Fault(
        "table with an image whose name would lead out of the results",
        TABLE,
        written(OWN, "path,image_id\nphotographs/test/crack/0.png,../0.png\n"),
        (r"table\.csv, line 2: an image cannot be called '\.\./0\.png', since results are stored under " r"its name"),
    ),
    Fault(
        "table with a name of two images",
        TABLE,
        written(OWN, "path,image_id\nphotographs/test/crack/0.png,0\nphotographs/test/good/0.png,0\n"),
        r"table\.csv, line 3: 0 is already in line 2; remove one of the two",
    ),
    Fault(
        "table with an image that does not exist",
        TABLE,
        edited(OWN, "test/good/0.png", "test/good/7.png"),
        r"table\.csv, line 4: the image photographs/test/good/7\.png does not exist; correct the path",
    ),
    Fault(
        "table with the backslashes of Windows",
        TABLE,
        edited(OWN, "photographs/test/good/0.png", "photographs\\test\\good\\0.png"),
        r"table\.csv, line 4: the image .* does not exist; separate folders by '/'",
    ),
    Fault(
        "table with a mask that does not exist",
        TABLE,
        removed("photographs/ground_truth/crack/0_mask.png"),
        r"table\.csv, line 6: the mask photographs/ground_truth/crack/0_mask\.png does not exist",
    ),
    Fault(
        "table that calls good what its mask marks",
        TABLE,
        edited(OWN, "defective,crack,", "good,,"),
        (
            r"table\.csv labels photographs/test/crack/0\.png as good, but its mask .* marks a defect; "
            r"correct the label"
        ),
    ),
    Fault(
        "table whose label and defect type differ",
        TABLE,
        edited(OWN, "defective,crack", "good,crack"),
        r"table\.csv, line 6: the label is 'good' but the defect type 'crack'; correct one of the two",
    ),
    Fault(
        "table with a category that cannot be one",
        TABLE,
        edited(OWN, "lid", "tables"),
        r"table\.csv, line 2: a category cannot be called 'tables'; use another name",
    ),
    Fault(
        "table in an old encoding",
        TABLE,
        written(OWN, "path,defect_type\nphotographs/test/good/0.png,Öl\n".encode("latin-1")),
        r"the table table\.csv is not text in UTF-8; save it as 'CSV UTF-8'",
    ),
    Fault(
        "table with a quote that is not closed",
        TABLE,
        appended(OWN, '"photographs/test/crack/1.png,lid\n'),
        r"the table table\.csv is not CSV \(line \d+: .*\); correct that line",
    ),
    Fault(
        "table with a cell too many",
        TABLE,
        edited(OWN, "test,good,,", "test,good,,,later"),
        r"table\.csv, line 4: the cell 'later' belongs to no column",
    ),
    Fault(
        "spreadsheet in place of a table",
        TABLE,
        written(OWN, b"PK\x03\x04\x14\x00\x06\x00\x08\x00\xe2\x28"),
        r"the table table\.csv ",
    ),
    Fault("table as a spreadsheet saves it", TABLE, with_carriage_returns_and_mark),
)

PUBLISHED = (
    Fault("VisA without its table", VISA, removed(SPLIT), rf"{SPLIT} does not exist; take it from VisA's archive"),
    Fault(
        "VisA's table without a column",
        VISA,
        edited(SPLIT, "image,mask", "image"),
        rf"{SPLIT} has no column mask \(it must have object,split,label,image,mask\)",
    ),
    Fault(
        "VisA's table with a path out of the data set",
        VISA,
        edited(SPLIT, "candle/Data/Images/Normal/2.JPG", "candle/../../2.JPG"),
        rf"{SPLIT}, line 4: the image is 'candle/\.\./\.\./2\.JPG', which is not a path that starts with 'candle/'",
    ),
    Fault(
        "VisA without an image of its table",
        VISA,
        removed("visa/candle/Data/Images/Anomaly/0.JPG"),
        rf"{SPLIT}, line 6: the image visa/candle/Data/Images/Anomaly/0\.JPG does not exist; unpack the whole archive",
    ),
    Fault("Real-IAD without its table", REAL_IAD, removed(JSON), rf"{JSON} does not exist; unpack realiad_jsons\.zip"),
    Fault("Real-IAD's table cut off", REAL_IAD, cut(JSON, 0.7), rf"{JSON} is not JSON \(.*\); take the file from"),
    Fault("Real-IAD's table without a key", REAL_IAD, edited(JSON, "normal_class", "normal"), rf"{JSON} has no meta"),
    Fault(
        "Real-IAD in another size than configured",
        REAL_IAD,
        moved("iad/realiad_1024", "iad/realiad_256"),
        r"iad has images not in realiad_1024 but in realiad_256; set dataset.params.resolution to '256'",
    ),
    Fault(
        "MVTec LOCO without its list of defects",
        LOCO,
        removed(DEFECTS),
        rf"{DEFECTS} cannot be read \(No such file or directory\)",
    ),
    Fault(
        "MVTec LOCO's list of defects with a share above 1",
        LOCO,
        edited(DEFECTS, '"relative_saturation": false', '"relative_saturation": true'),
        rf"{DEFECTS} is not a list of defects with saturation thresholds: entry 1: .*in \(0, 1\]; put back the file",
    ),
)

FAULTS: tuple[Fault, ...] = (*USERS_OWN, *PUBLISHED)
