"""The labelled images of a classifier, drawn: disjoint by content, nested, each kind for itself, or one sentence."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zsad.classification.draw_support import draw_support
from zsad.classification.draws import DrawOptions, Labelled, check_left_out, in_random_order, remove_copies
from zsad.classification.splits import (
    TEST,
    SplitRow,
    check_split,
    draws_of,
    kinds_of,
    read_remarks,
    read_split,
    setting_of,
    write_split,
)
from zsad.data.image_list import ListedImage, write_images
from zsad.data.kinds import write_kinds
from zsad.data.manifest import ImageRecord, write_manifest
from zsad.errors import ConfigError, DataError
from zsad.workflow.sections import ConfiguredClassifier

UNKNOWN = ""
Images = Mapping[str, tuple[str, str]]  # kind and content of each image by its name


def images(**counts: int) -> dict[str, tuple[str, str]]:
    """So many different images of each kind."""
    return {
        f"{kind}/{index:02}.png": (kind, f"{kind} {index}") for kind, count in counts.items() for index in range(count)
    }


def digest(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


class Place:
    """Where a category's images and the examples beside them are listed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.split = folder / "split.csv"

    def draw(self, tests: Images, examples: Images | None = None, **options: Any) -> list[SplitRow]:
        """The split of a category.

        Args:
            tests: its test images; those of the kind ``""`` have no label.
            examples: those beside it; None to draw from the test images.
        """
        manifest, listed, labelled, kinds = (
            self.folder / f"{name}.csv" for name in ("manifest", "images", "labelled", "kinds")
        )
        training = ListedImage("train/good/0.png", "t.png", "train", 8, 8, digest("training"))
        write_images(listed, [training, *_listed(tests)])
        write_manifest(
            manifest,
            [
                ImageRecord(
                    **vars(image),
                    label=None if tests[image.image_id][0] == UNKNOWN else int(tests[image.image_id][0] != "good"),
                    defect_type=tests[image.image_id][0],
                    mask_path="",
                )
                for image in _listed(tests)
            ],
        )
        if examples is not None:
            write_images(labelled, _listed(examples))
            write_kinds(kinds, {name: kind for name, (kind, _) in examples.items()})
        beside = examples is not None
        draw_support(
            manifest=None if beside else manifest,
            images=listed,
            labelled=labelled if beside else None,
            kinds=kinds if beside else None,
            source="vault" if beside else TEST,
            options=DrawOptions(**{"shots": [1], "calibration": 0, "seeds": [0], **options}),
            category="tile",
            output=self.split,
        )
        return read_split(self.split)


def _listed(images: Images) -> list[ListedImage]:
    return [ListedImage(name, f"{name}", "test", 8, 8, digest(content)) for name, (_, content) in images.items()]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def ids(rows: Sequence[SplitRow], role: str, kind: str | None = None, seed: int = 0) -> list[str]:
    """The images of a role, by rank if they have one."""
    chosen = [row for row in rows if row.role == role and row.seed == seed and kind in (None, row.kind)]
    return [row.image_id for row in sorted(chosen, key=lambda row: (row.kind, row.rank or 0))]


def random_images(seed: int, *, unknown: bool = True) -> dict[str, tuple[str, str]]:
    """Images of several kinds, many of them copies of others of their kind, or of ones that nobody has labelled."""
    rng = np.random.default_rng(seed)
    kinds = ["good", "crack", "hole", "ö"][: rng.integers(2, 5)]
    contents = {kind: [f"{kind} {index}" for index in range(rng.integers(9, 14))] for kind in kinds}
    found = {f"{kind}/{content}.png": (kind, content) for kind, all_of in contents.items() for content in all_of}
    for copy in range(12):
        kind = str(rng.choice(kinds))
        content = str(rng.choice(contents[kind]))
        found[f"{rng.choice(['a', 'z'])}/copy {copy}.jpg"] = (kind, content)
        if unknown:
            found[f"{rng.choice(['a', 'z'])}/unknown {copy}.png"] = (
                UNKNOWN,
                str(rng.choice([content, f"new {copy // 2}"])),
            )
    return found


# What is drawn.


@pytest.mark.parametrize("seed", range(8))
def test_support_calibration_and_queries_have_no_image_in_common_by_content(place: Place, seed: int) -> None:
    tests = random_images(seed)
    shots, seeds = [1, 2, 4], [0, 1, seed + 2]
    rows = place.draw(tests, shots=shots, calibration=3, seeds=seeds)
    kinds = {kind for kind, _ in tests.values() if kind}
    content = {name: content for name, (_, content) in tests.items()}
    for draw in draws_of(rows, shots):
        support, calibration = ([row.image_id for row in rows] for rows in (draw.support, draw.calibration))
        parts = [{content[name] for name in names} for names in (support, calibration, draw.queries)]
        assert len(set.union(*parts)) == sum(map(len, parts)), "no content is in two parts"
        assert len(support) == len(kinds) * int(draw.shots)
        assert len(calibration) == len(kinds) * 3
        assert len(draw.queries) == len(parts[2]), "no query is listed twice"
        assert all(tests[row.image_id][0] == row.kind for row in (*draw.support, *draw.calibration))
        of_kind = {tests[name][0] for name in draw.queries}
        assert of_kind >= kinds, "each kind that is shown is asked for"
    of_seed = [row for row in rows if row.seed == seeds[0]]
    assert {row.image_id for row in of_seed} == tests.keys()
    assert {content[row.image_id] for row in of_seed if row.role != "left_out"} == {*content.values()}


@pytest.mark.parametrize("seed", range(4))
def test_more_shots_hold_fewer_and_the_queries_are_the_same(place: Place, seed: int) -> None:
    shots = [4, 1, 3]
    rows = place.draw(random_images(seed), shots=shots, calibration=2, seeds=[0, 5])
    for number in (0, 5):
        by_shots = {draw.shots: draw for draw in draws_of(rows, shots) if draw.seed == number}
        supports = [{row.image_id for row in by_shots[count].support} for count in (1, 3, 4)]
        assert supports[0] < supports[1] < supports[2]
        assert len({tuple(draw.queries) for draw in by_shots.values()}) == 1
        assert len({tuple(draw.calibration) for draw in by_shots.values()}) == 1
    assert ids(rows, "support", seed=0) != ids(rows, "support", seed=5)


def test_more_shots_change_neither_calibration_nor_the_first_examples(place: Place) -> None:
    few, many = (place.draw(images(good=12, crack=12), shots=[count], calibration=3) for count in (2, 6))
    assert ids(few, "calibration") == ids(many, "calibration")
    for kind in ("good", "crack"):
        assert ids(few, "support", kind) == ids(many, "support", kind)[:2]


@pytest.mark.parametrize(
    "change", ["another kind", "more images of another kind", "another name", "left out", "skipped"]
)
def test_a_draw_depends_on_its_own_kind_alone(place: Place, change: str) -> None:
    tests, options = images(good=12, crack=12, hole=9), {"shots": [3], "calibration": 4, "seeds": [0, 1]}
    before = place.draw(tests, **options)
    if change == "another kind":
        tests |= images(dent=10)
    elif change == "more images of another kind":
        tests |= images(hole=20)
    elif change == "another name":
        tests = {name.replace("hole/", "a/"): known for name, known in tests.items()}
    elif change == "left out":
        options["leave_out"] = ["hole"]
    else:
        tests, options["scarce"] = images(good=12, crack=12, hole=2), "skip"
    after = place.draw(tests, **options)
    for seed in (0, 1):
        for role in ("support", "calibration"):
            for kind in ("good", "crack"):
                assert ids(after, role, kind, seed) == ids(before, role, kind, seed)


def test_every_image_is_drawn_about_as_often(place: Place) -> None:
    pool = [Labelled(TEST, name, kind, digest(content)) for name, (kind, content) in images(crack=10).items()]
    first = [in_random_order(pool, seed)[0].image_id for seed in range(1000)]
    counts = [first.count(image.image_id) for image in pool]
    assert min(counts) > 60  # 100 expected, with a deviation of 9.5
    assert max(counts) < 140
    assert in_random_order(pool[::-1], 3) == in_random_order(pool, 3)


def test_kinds_are_drawn_apart(place: Place) -> None:
    rows = place.draw(
        {name: (kind, content) for name, (kind, content) in images(good=30, crack=30).items()}, shots=[20]
    )
    orders = [[name.partition("/")[2] for name in ids(rows, "support", kind)] for kind in ("good", "crack")]
    assert orders[0] != orders[1]


def test_the_split_has_no_kind_of_a_query_or_of_what_is_not_shown(place: Place) -> None:
    tests = images(good=6, crack=6, hole=6, rust=1) | {"new.png": (UNKNOWN, "new")}
    rows = place.draw(tests, shots=[2], calibration=1, leave_out=["hole"], scarce="skip", seeds=[0, 1])
    assert kinds_of(rows) == ["crack", "good"]
    assert {row.kind for row in rows if row.role == "query"} == {""}
    assert {"rust/00.png", "new.png", *(f"hole/{index:02}.png" for index in range(6))} <= {*ids(rows, "query")}
    assert "hole" not in place.split.read_text().replace("hole/", "")


def test_of_copies_the_first_by_name_takes_part_and_a_label_counts_more(place: Place) -> None:
    tests = images(good=3, crack=2) | {
        "b.jpg": ("crack", "crack 0"),
        "a.png": (UNKNOWN, "good 0"),
        "n1.png": (UNKNOWN, "new"),
        "n0.png": (UNKNOWN, "new"),
    }
    rows = place.draw(tests)
    assert ids(rows, "left_out") == ["a.png", "crack/00.png", "n1.png"]
    assert {row.kind for row in rows if row.role == "left_out"} == {""}
    assert read_remarks(place.split) == ["3 images are not used: their content equals that of others, e.g. a.png."]


def test_a_single_copy_is_named(place: Place) -> None:
    place.draw(images(good=3, crack=2) | {"b.jpg": ("good", "good 0")})
    assert read_remarks(place.split) == ["good/00.png is not used: its content equals that of another image."]


def test_a_defect_without_a_type_is_a_kind_of_its_own(place: Place) -> None:
    tests = {f"{name}.png": ("good" if name < "c" else "scratch", name) for name in "abcdef"}
    place.draw(tests)
    manifest = place.folder / "manifest.csv"
    untyped = [
        ImageRecord(**vars(image), label=int(image.image_id > "c"), defect_type="", mask_path="")
        for image in _listed(tests)
    ]
    write_manifest(manifest, untyped)
    draw_support(
        manifest=manifest,
        images=place.folder / "images.csv",
        labelled=None,
        kinds=None,
        source=TEST,
        options=DrawOptions(shots=[1], calibration=0, seeds=[0]),
        category="tile",
        output=place.split,
    )
    assert kinds_of(read_split(place.split)) == ["defective", "good"]


def test_good_need_not_be_a_kind(place: Place) -> None:
    rows = place.draw(images(good=4, crack=4, hole=4), good=False)
    assert kinds_of(rows) == ["crack", "hole"]
    assert {f"good/{index:02}.png" for index in range(4)} <= {*ids(rows, "query")}


def test_examples_beside_the_data_set_leave_every_test_image_to_classify(place: Place) -> None:
    tests = {name: (UNKNOWN, f"test {name}") for name in ("crack/00.png", "b.png", "copy of b.png")}
    tests["copy of b.png"] = tests["b.png"]
    rows = place.draw(tests, images(good=5, crack=4), shots=[2, "all"], calibration=1)
    assert {row.image_id for row in rows if row.role == "query"} == tests.keys()
    assert {row.source for row in rows if row.kind} == {"vault"}
    few, everything = draws_of(rows, [2, "all"])
    assert [row.rank for row in few.support] == [1, 2, 1, 2]
    assert [row.kind for row in everything.support] == ["crack"] * 3 + ["good"] * 4
    assert few.queries == everything.queries
    assert [setting_of(draw.shots) for draw in (few, everything)] == ["few-shot-defects-2", "few-shot-defects-all"]


def test_kinds_are_drawn_alike_from_test_images_and_from_beside(place: Place) -> None:
    both = images(good=8, crack=8)
    from_tests = place.draw(both, shots=[3], calibration=2)
    beside = place.draw({"new.png": (UNKNOWN, "new")}, both, shots=[3], calibration=2)
    for role in ("support", "calibration"):
        assert ids(from_tests, role) == ids(beside, role)


# What is refused.


REFUSED: dict[str, tuple[Images, Images | None, dict[str, Any], str]] = {
    "fewer images than shots": (
        images(good=9, crack=5),
        None,
        {"shots": [2, 5]},
        r"'tile' has too few labelled test images for 5 shots and 1 to classify a kind: 5 of 'crack'; label more, "
        r"lower shots, name them in leave_out, or set scarce to 'skip'",
    ),
    "fewer images than shots and calibration": (
        images(good=9, crack=5, hole=2),
        None,
        {"shots": [2], "calibration": 3},
        r"for 2 shots, 3 for calibration and 1 to classify a kind: 5 of 'crack', 2 of 'hole'; .* lower shots or calib",
    ),
    "no image left to classify": (
        images(good=9, crack=4),
        None,
        {"shots": [4]},
        r"for 4 shots and 1 to classify a kind: 4 of 'crack'",
    ),
    "fewer examples than shots": (
        images(new=1),
        images(good=9, crack=4),
        {"shots": [5]},
        r"too few labelled examples for 5 shots a kind: 4 of 'crack'",
    ),
    "all shots without one beside calibration": (
        images(new=1),
        images(good=9, crack=4),
        {"shots": ["all"], "calibration": 4},
        r"too few labelled examples for 1 shot and 4 for calibration a kind: 4 of 'crack'",
    ),
    "copies that make fewer images than shots": (
        images(good=9, crack=4) | {f"copy {index}.png": ("crack", "crack 0") for index in range(5)},
        None,
        {"shots": [4]},
        r"4 of 'crack'",
    ),
    "all test images": (
        images(good=9, crack=9),
        None,
        {"shots": [1, "all"]},
        r"shots 'all' with support 'test' would show every labelled test image and leave none to classify; give ",
    ),
    "one kind": (
        images(good=9),
        None,
        {},
        r"only the kind 'good' is left to classify in 'tile'; a classifier needs at least two kinds",
    ),
    "one kind after the others are left out": (
        images(good=9, crack=9, hole=9),
        None,
        {"leave_out": ["crack"], "good": False},
        r"only the kind 'hole' is left .*\(left out: crack, good\); .* show more by changing good or leave_out$",
    ),
    "one kind after the others are left out, with calibration": (
        images(good=9, crack=9),
        None,
        {"leave_out": ["crack"], "calibration": 2},
        r"only the kind 'good' is left .* show more by changing good or leave_out$",
    ),
    "many kinds with fewer images than shots": (
        images(good=9, **{f"hole {index}": index for index in range(1, 8)}),
        None,
        {"shots": [7]},
        r": 1 of 'hole 1', 2 of 'hole 2', 3 of 'hole 3', 4 of 'hole 4', 5 of 'hole 5' and 2 more kinds; label more",
    ),
    "no kind": (images(crack=9), None, {"leave_out": ["crack"]}, r"no kind is left to classify .*left out"),
    "one kind after the others are skipped": (
        images(good=9, crack=2, hole=3),
        None,
        {"scarce": "skip", "shots": [3], "calibration": 1},
        r"only the kind 'good' is left .*\(too few images for 3 shots, 1 for calibration and 1 to classify: crack, "
        r"hole\).*changing good, leave_out, shots or calibration$",
    ),
    "no label": (
        {name: (UNKNOWN, content) for name, (_, content) in images(good=5, crack=5).items()},
        None,
        {},
        r"no test image of category 'tile' has a label, .* label some, or set the classifier's support to a name of",
    ),
    "an image of two kinds": (
        images(good=5, crack=5) | {"a.jpg": ("good", "crack 2")},
        None,
        {},
        r"the test image a\.jpg of kind 'good' and the test image crack/02\.png of kind 'crack' are the same image; ",
    ),
    "an image of two kinds that are not shown": (
        images(good=5, crack=5, dent=1, hole=1) | {"a.jpg": ("hole", "dent 0")},
        None,
        {"leave_out": ["dent", "hole"]},
        r"the test image a\.jpg of kind 'hole' and .* of kind 'dent' are the same image",
    ),
    "an example of two kinds": (
        images(new=1),
        images(good=5, crack=5) | {"a.jpg": ("good", "crack 2")},
        {},
        r"the labelled example a\.jpg of kind 'good' and the labelled example crack/02\.png of kind 'crack' are ",
    ),
    "an example that is a test image": (
        {"line 2/7.jpg": (UNKNOWN, "crack 2"), "8.png": (UNKNOWN, "8")},
        images(good=5, crack=5),
        {},
        r"the labelled example crack/02\.png and the test image line 2/7\.jpg are the same image, .* remove one",
    ),
    "several examples that are test images, of a kind that is not shown": (
        images(crack=3),
        images(good=5, crack=5, hole=5),
        {"leave_out": ["crack"]},
        r"crack/00\.png are the same image \(and 2 more such pairs\)",
    ),
    "kinds that differ only by case": (
        images(good=5, crack=5, Crack=5),
        None,
        {},
        (
            r"the kinds 'Crack' \(.*'tile'\) and 'crack' \(.*\) differ only by case, spaces or the form of "
            r"their letters"
        ),
    ),
    "kinds that differ by spaces": (
        images(good=5) | images(**{"deep crack": 5, "deepcrack": 5}),
        None,
        {},
        "differ only by",
    ),
    "kinds that differ by a full-width letter": (
        images(good=5, crack=5) | images(**{"crac\uff4b": 5}),
        None,
        {},
        "differ only by case, spaces or",
    ),
    "a kind called good but for its case": (images(good=5, crack=5, Good=5), None, {}, "differ only by case"),
    "a kind with the separator of sets": (
        images(good=5) | images(**{"a|b": 5}),
        None,
        {},
        r"the test images of 'tile': a kind cannot be called 'a\|b', since '\|' separates the kinds of a pred",
    ),
    "a kind with a line break": (
        images(good=5) | images(**{"a\nb": 5}),
        None,
        {},
        r"cannot be called 'a\\nb', since '\\n' cannot",
    ),
    "a kind to leave out that is misspelt": (
        images(good=5, crack=5, scratch=5),
        None,
        {"leave_out": ["scrathc"]},
        r"leave_out names 'scrathc', which is not a kind of 'tile'; did you mean 'scratch'\?",
    ),
    "a kind to leave out in another case": (
        images(good=5, crack=5, scratch=5),
        None,
        {"leave_out": ["Scratch"]},
        r"leave_out names 'Scratch', .*; did you mean 'scratch'\?",
    ),
}


@pytest.mark.parametrize(("tests", "examples", "options", "said"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_drawn_is_refused_in_one_sentence(
    place: Place, tests: Images, examples: Images | None, options: dict[str, Any], said: str
) -> None:
    with pytest.raises((ConfigError, DataError), match=said) as error:
        place.draw(tests, examples, **options)
    assert "\n" not in str(error.value)
    assert not place.split.exists()


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"shots": [0]}, r"item 1 of shots = 0 is not valid: input should be 'all', or it must be at least 1"),
        ({"shots": []}, r"it must not be empty"),
        ({"shots": [2, 2]}, r"2 is listed twice"),
        ({"shots": ["some"]}, r"'some'"),
        ({"calibration": -1}, r"at least 0"),
        ({"seeds": [1, 1]}, r"1 is listed twice"),
        ({"seeds": [-1]}, r"at least 0"),
        ({"seeds": []}, r"it must not be empty"),
        ({"scarce": "leave"}, r"choose from: stop, skip"),
    ],
)
def test_options_that_cannot_be_are_refused(params: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        DrawOptions.build(params, where="classifiers.nearest")


def test_images_of_another_manifest_are_refused(place: Place) -> None:
    tests = images(good=5, crack=5)
    place.draw(tests)
    write_images(place.folder / "images.csv", _listed(images(good=5, crack=4)))
    with pytest.raises(DataError, match=r"manifest\.csv and .*images\.csv are of different images; delete"):
        draw_support(
            manifest=place.folder / "manifest.csv",
            images=place.folder / "images.csv",
            labelled=None,
            kinds=None,
            source=TEST,
            options=DrawOptions(shots=[1], calibration=0),
            category="tile",
            output=place.split,
        )


# What is told.


def test_a_kind_with_too_few_images_may_be_skipped_and_is_named(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    rows = place.draw(images(good=9, crack=9, hole=2, dent=1), shots=[2], calibration=1, scarce="skip")
    assert kinds_of(rows) == ["crack", "good"]
    assert {"hole/00.png", "hole/01.png", "dent/00.png"} <= {*ids(rows, "query")}
    remarks = read_remarks(place.split)
    assert remarks == [
        "The kind 'dent' is not shown: it has 1 labelled image, too few for 2 shots, 1 for calibration and 1 to "
        "classify.",
        "The kind 'hole' is not shown: it has 2 labelled images, too few for 2 shots, 1 for calibration and 1 to "
        "classify.",
    ]
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [
        f"tile: {remark}" for remark in remarks
    ]


@pytest.mark.parametrize("name", ["rust", "type 2", "crack_tip"])
def test_what_is_left_out_of_another_category_is_remarked_on(place: Place, name: str) -> None:
    """Categories have different kinds, and one configuration."""
    place.draw(images(good=5, crack=5) | images(**{"type 1": 5}), leave_out=[name])
    assert read_remarks(place.split) == [f"The kind '{name}' in leave_out does not exist in 'tile'."]


@pytest.mark.parametrize("name", ["ö-riss", "o\u0308-riss", " ö-riss ", "good", "ok"])
def test_what_is_left_out_may_be_typed_in_any_form(place: Place, name: str) -> None:
    rows = place.draw(images(good=5, crack=5, dent=5) | images(**{"o\u0308-riss": 5}), leave_out=[name])
    assert len(kinds_of(rows)) == 3
    assert read_remarks(place.split) == []


@pytest.mark.parametrize(
    ("name", "hint"), [("rust", "; choose from: crack, good, hole"), ("crak", "; did you mean 'crack'")]
)
def test_what_is_left_out_must_be_a_kind_of_some_category(name: str, hint: str) -> None:
    kinds = {"crack", "good", "hole"}
    check_left_out(["hole", "ok", " crack"], kinds, "here")
    with pytest.raises(ConfigError, match=rf"here names '{name}', which is not a kind of any category{hint}"):
        check_left_out(["hole", name], kinds, "here")


def test_the_defaults_are_those_of_the_configuration() -> None:
    for name, field in DrawOptions.model_fields.items():
        assert field.get_default(call_default_factory=True) == ConfiguredClassifier.model_fields[name].get_default(
            call_default_factory=True
        )


# The file.


def sound() -> list[SplitRow]:
    return [
        SplitRow(seed, TEST, f"{kind}/{index}.png", role, rank, kind if rank else "", digest(f"{kind} {index}"))
        for seed in (0, 1)
        for kind in ("crack", "good")
        for index, (role, rank) in enumerate((("calibration", 1), ("support", 1), ("support", 2), ("query", None)))
    ]


def changed(place: int, **changes: Any) -> list[SplitRow]:
    rows = sound()
    return [*rows[:place], replace(rows[place], **changes), *rows[place + 1 :]]


def test_a_split_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "split.csv"
    check_split(sound())
    write_split(path, reversed(sound()), ["=1+1 is told, too."])
    assert read_split(path) == sorted(sound(), key=lambda row: (row.seed, row.source, row.image_id))
    assert read_remarks(path) == ["=1+1 is told, too."]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (changed(3, sha256=sound()[1].sha256), "has a labelled image among its queries"),
        (changed(0, sha256=sound()[1].sha256), "shows an image twice"),
        (changed(0, sha256=sound()[5].sha256), "shows an image twice"),
        (changed(3, image_id="crack/2.png"), "has an image twice"),
        (changed(2, rank=3), r"the support images of 'crack' have the ranks \[1, 3\]"),
        (changed(2, rank=1), r"have the ranks \[1, 1\]"),
        (changed(0, kind="dent"), "seed 0 shows other kinds"),
        (changed(0, kind="Crack"), "seed 0 shows other kinds"),
        ([row for row in sound() if row.seed == 0 or row.kind != "crack"], "seed 1 shows other kinds"),
        ([row for row in sound() if row.kind != "crack"], "fewer than two kinds"),
        ([row for row in sound() if row.role != "query"], "has no queries"),
        ([replace(row, source="parts") for row in sound()], "has no queries among the test images"),
        ([], "fewer than two kinds"),
        ([replace(row, kind=row.kind.replace("good", "CRACK")) for row in sound()], "differ only by case"),
    ],
)
def test_rows_that_are_no_split_are_refused(rows: list[SplitRow], said: str) -> None:
    with pytest.raises((ValueError, DataError), match=said):
        check_split(rows)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"role": "teacher"}, "'teacher' is not a role"),
        ({"rank": None}, "as calibration has the kind 'crack'"),
        ({"kind": ""}, "as calibration has the kind ''"),
        ({"role": "query"}, "as query has the kind 'crack'"),
        ({"image_id": ""}, "not identified by source, name and content"),
        ({"sha256": ""}, "not identified by source, name and content"),
        ({"seed": "first"}, "invalid literal"),
    ],
)
def test_a_table_that_is_no_split_is_refused(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    rows = [*sound()[1:], replace(sound()[0], **changes)]
    path = tmp_path / "split.csv"
    write_split(path, sorted(rows, key=lambda row: str(row.seed)) if "seed" not in changes else rows[-1:])
    with pytest.raises(
        DataError, match=rf"split\.csv is not a split of a classifier \(.*{said}.*\); delete it and run again"
    ):
        read_split(path)


def test_more_shots_than_were_drawn_are_refused() -> None:
    with pytest.raises(DataError, match="the split has 2 support images of 'crack', not 3; delete it and run again"):
        draws_of(sound(), [1, 3])


def test_copies_are_told_whatever_the_order() -> None:
    pool = [Labelled(TEST, name, "crack", digest(content)) for name, content in (("b", "x"), ("a", "x"), ("c", "y"))]
    for order in (pool, pool[::-1]):
        found = remove_copies(order)
        assert [image.image_id for image in found.images] == ["a", "c"]
        assert [image.image_id for image in found.copies] == ["b"]
