"""The stages that measure classifiers and outline what is true: the shape of their results, and what they may see."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from class_files import (
    KINDS,
    METRICS,
    class_evaluation,
    plain_confusion,
    plain_coverage,
    plain_metrics,
    write_classified,
)
from zsad.data.manifest import ImageRecord, write_manifest
from zsad.errors import DataError
from zsad.evaluation.evaluate_classes import evaluate_classes
from zsad.evaluation.options import EvaluationOptions
from zsad.evaluation.outline_truth import outline_truth
from zsad.files.classified import QUERY, ClassifiedReader
from zsad.files.json_files import read_json
from zsad.files.masks import MaskReader
from zsad.names import CLASSIFICATION_METRICS

OF_SETS = ("set_size", "singletons", "abstained")


def record(image_id, kind, mask_path="", size=(6, 9), split="test"):
    label = None if not kind else int(kind != "good")
    return ImageRecord(image_id, f"data/{image_id}", split, label, kind, mask_path, *size, "0" * 64)


def images(*kinds, each=8):
    """Test images by their true kinds."""
    return {f"test/{kind}/{number:03}.png": kind for kind in kinds for number in range(each)}


class Category:
    """A category on disk: a manifest, and what a classifier says of its images."""

    def __init__(self, folder):
        self.manifest, self.classified, self.output = (folder / name for name in ("m.csv", "c.h5", "metrics.json"))

    def write(self, truth, **said):
        self.truth = dict(truth)
        self.tell(self.truth)
        write_classified(self.classified, truth, provenance={"embedding": {"kind": "both"}}, **said)
        return self

    def tell(self, truth):
        """Write the manifest anew with other kinds, of which the classifier knows nothing."""
        training = record("train/good/000.png", "good", split="train")
        write_manifest(self.manifest, [training, *(record(*one) for one in truth.items())])

    def roles(self, draw=0):
        with ClassifiedReader(self.classified) as reader:
            return dict(zip(reader.image_ids, reader.draw(draw).roles, strict=True))

    def evaluate(self, **options):
        evaluate_classes(
            manifest=self.manifest,
            classified=self.classified,
            output=self.output,
            options=EvaluationOptions(**{"bootstrap": 100, **options}),
            provenance={"stage": "evaluate_classes"},
            category="tiles",
            classifier="nearest",
            backbone="dino",
        )
        return read_json(self.output)


@pytest.fixture
def category(tmp_path):
    return Category(tmp_path)


@pytest.fixture
def whole(category):
    """Two seeds by two numbers of shots, and a kind that is not shown."""
    return category.write(images("blowhole", "crack", "good", "break"), seeds=(0, 3), shots=(1, 3), remarks=["So."])


def test_the_result_names_what_was_measured(whole):
    result = whole.evaluate()
    names = ("category", "classifier", "backbone", "method", "embedding", "regions", "alpha", "is_labelled", "shown")
    assert [result[name] for name in names] == ["tiles", "nearest", "dino", "", "both", "image", 0.1, True, 1]
    assert (result["kinds"], result["unknown_kinds"]) == (list(KINDS), ["break"])
    assert [(draw["seed"], draw["shots"], draw["setting"]) for draw in result["draws"]] == [
        (seed, shots, f"few-shot-defects-{shots}") for seed in (0, 3) for shots in (1, 3)
    ]
    first = result["draws"][1]
    assert (first["support"], first["calibration"], first["remarks"]) == ([3, 3, 3], [1, 1, 1], ["So."])
    assert (first["queries"], first["measured"], first["unknown"]) == (20, 12, 8)
    assert result["provenance"] == {
        "stage": "evaluate_classes",
        "classification": {"embedding": {"kind": "both"}},
    }


def said(path, truth, draw):
    """True kinds, predictions and sets of the queries of a draw, image by image."""
    with ClassifiedReader(path) as reader:
        classified = reader.draw(draw)
        rows = []
        for place, image_id in enumerate(reader.image_ids):
            if classified.roles[place] == QUERY:
                predicted = reader.kinds[int(np.argmax(classified.probabilities[place]))]
                chosen = [kind for kind, is_in in zip(reader.kinds, classified.in_set[place], strict=True) if is_in]
                rows.append((truth[image_id], predicted, chosen))
    return zip(*rows, strict=True)


def test_each_draw_is_measured_by_its_queries(whole):
    for index, draw in enumerate(whole.evaluate()["draws"]):
        truth, predicted, sets = said(whole.classified, whole.truth, index)
        assert draw["metrics"] == pytest.approx(plain_metrics(truth, predicted, sets, KINDS))
        assert draw["coverage_by_kind"] == pytest.approx(plain_coverage(truth, sets, KINDS))
        assert draw["confusion"] == plain_confusion(truth, predicted, KINDS, ["break"])


def test_the_seeds_of_a_number_of_shots_are_taken_together(whole):
    result = whole.evaluate()
    assert [one["shots"] for one in result["by_shots"]] == [1, 3]
    for one in result["by_shots"]:
        draws = [draw for draw in result["draws"] if draw["shots"] == one["shots"]]
        assert (one["seeds"], one["setting"]) == ([0, 3], draws[0]["setting"])
        assert one["confusion"] == np.sum([draw["confusion"] for draw in draws], axis=0).tolist()
        assert tuple(sorted(one["metrics"])) == tuple(sorted(CLASSIFICATION_METRICS))
        for part in ("metrics", "coverage_by_kind"):
            for name, summary in one[part].items():
                values = [draw[part][name] for draw in draws]
                assert summary["value"] == pytest.approx(np.mean(values)), name
                assert summary["deviation"] == pytest.approx(np.std(values, ddof=1)), name
                assert summary["low"] <= summary["value"] <= summary["high"], name
        assert one["metrics"]["accuracy"]["low"] < one["metrics"]["accuracy"]["high"]


def test_each_query_of_the_shown_draw_has_a_row(whole):
    result = whole.evaluate()
    assert {row["image_id"] for row in result["images"]} == {
        image_id for image_id, role in whole.roles(result["shown"]).items() if role == QUERY
    }
    with ClassifiedReader(whole.classified) as reader:
        classified = reader.draw(result["shown"])
        for row in result["images"]:
            place = reader.image_ids.index(row["image_id"])
            assert row["true"] == whole.truth[row["image_id"]]
            assert row["predicted"] == max(row["probabilities"], key=lambda kind: row["probabilities"][kind])
            assert row["prediction_set"] == [kind for kind in KINDS if row["p_values"][kind] > 0.1]
            assert row["abstained"] == (row["prediction_set"] == [])
            for number, kind in enumerate(KINDS):
                nearest = row["nearest"][kind]
                exemplar = reader.exemplars[classified.nearest[place, number]]
                assert (nearest["source"], nearest["image_id"], kind) == exemplar
                assert nearest["similarity"] == classified.similarity[place, number]
                assert row["probabilities"][kind] == classified.probabilities[place, number]
    assert {row["abstained"] for row in result["images"]} == {True, False}


def test_what_is_true_of_labelled_examples_changes_nothing(category):
    category.write(images("blowhole", "crack", "good", "break"), shots=(1, 3), calibration=2)
    before = category.evaluate()
    roles = category.roles(1)
    assert list(roles.values()).count(QUERY) == len(roles) - 3 * 5
    for other in ("crack", "break", "unheard of", ""):
        category.tell({name: kind if roles[name] == QUERY else other for name, kind in category.truth.items()})
        assert category.evaluate() == before
    query = next(name for name, role in roles.items() if role == QUERY)
    category.tell({**category.truth, query: "unheard of"})
    assert category.evaluate() != before


def test_one_seed_has_limits_and_no_deviation(category):
    category.write(images(*KINDS)).tell(category.truth)
    (one,) = category.evaluate()["by_shots"]
    assert all(summary["deviation"] is None for summary in one["metrics"].values())
    accuracy = one["metrics"]["accuracy"]
    assert accuracy["low"] < accuracy["value"] < accuracy["high"]
    # Images of each kind are drawn apart, so that the share of a kind is what it is.
    majority = one["metrics"]["majority"]
    assert majority["low"] == pytest.approx(majority["value"])
    assert majority["high"] == pytest.approx(majority["value"])
    assert one["metrics"]["unknown_abstained"] == dict.fromkeys(("value", "low", "high", "deviation"))


def test_without_resamples_there_are_no_limits(whole):
    for one in whole.evaluate(bootstrap=0)["by_shots"]:
        for summary in [*one["metrics"].values(), *one["coverage_by_kind"].values()]:
            assert summary["low"] is None
            assert summary["high"] is None
            assert summary["value"] is not None


def test_limits_depend_on_the_seed_and_the_category_and_repeat(whole):
    first = whole.evaluate(seed=1)
    assert whole.evaluate(seed=1) == first
    assert whole.evaluate(seed=2)["by_shots"] != first["by_shots"]


def test_a_single_kind_of_those_that_are_shown_is_measured(category):
    category.write(images("crack"), source="catalogue", seeds=(0, 1))
    result = category.evaluate()
    for draw in result["draws"]:
        assert draw["metrics"]["majority"] == 1
        assert draw["metrics"]["balanced_accuracy"] == draw["metrics"]["accuracy"]
        assert [kind for kind, value in draw["coverage_by_kind"].items() if value is not None] == ["crack"]
        assert np.array(draw["confusion"])[[0, 2]].sum() == 0
    of_kind = result["by_shots"][0]["coverage_by_kind"]["good"]
    assert of_kind == dict.fromkeys(("value", "low", "high", "deviation"))


def test_images_without_labels_have_sets_and_no_metrics(category):
    truth = {f"{number:03}.png": "" for number in range(12)}
    category.write(truth, source="catalogue", seeds=(0, 1), shots=(1, 5))
    result = category.evaluate()
    assert (result["is_labelled"], result["unknown_kinds"]) == (False, [])
    for draw in result["draws"]:
        assert {name for name, value in draw["metrics"].items() if value is not None} == set(OF_SETS)
        assert (draw["queries"], draw["measured"], draw["unknown"]) == (12, 0, 0)
        assert draw["confusion"] == [[0] * 3] * 3
        assert set(draw["coverage_by_kind"].values()) == {None}
    size = result["by_shots"][0]["metrics"]["set_size"]
    assert size["low"] < size["value"] < size["high"]
    assert [row["true"] for row in result["images"]] == [""] * 12
    assert result["images"][0]["nearest"]["crack"]["source"] == "catalogue"


def test_images_of_unknown_kinds_alone_are_only_abstained_from(category):
    category.write(images("break", "fray"), source="catalogue")
    result = category.evaluate()
    (draw,) = result["draws"]
    assert (result["is_labelled"], result["unknown_kinds"]) == (True, ["break", "fray"])
    assert {name for name, value in draw["metrics"].items() if value is not None} == {"unknown_abstained"}
    assert (draw["measured"], draw["unknown"]) == (0, 16)
    assert np.sum(draw["confusion"]) == np.sum(draw["confusion"][3:]) == 16
    share = result["by_shots"][0]["metrics"]["unknown_abstained"]
    assert (
        share["value"] == draw["metrics"]["unknown_abstained"] == sum(row["abstained"] for row in result["images"]) / 16
    )


def test_unlabelled_images_among_labelled_ones_count_in_nothing(category):
    unsorted = {f"test/unsorted/{number}.png": "" for number in range(5)}
    category.write({**images("crack", "good", "break"), **unsorted}, source="catalogue")
    result = category.evaluate()
    (draw,) = result["draws"]
    assert (draw["queries"], draw["measured"], draw["unknown"]) == (29, 16, 8)
    rows = [row for row in zip(*said(category.classified, category.truth, 0), strict=True) if row[0]]
    assert draw["metrics"] == pytest.approx(plain_metrics(*zip(*rows, strict=True), KINDS))
    assert np.sum(draw["confusion"]) == 24
    assert [row["true"] for row in result["images"]][-5:] == [""] * 5


def test_where_all_labelled_images_were_shown_the_sets_of_the_others_are_reported(category):
    truth = {**images(*KINDS, each=2), "test/unsorted/0.png": "", "test/unsorted/1.png": ""}
    category.write(truth, shots=(1,), calibration=1)
    result = category.evaluate()
    assert not result["is_labelled"]
    assert {name for name, value in result["draws"][0]["metrics"].items() if value is not None} == set(OF_SETS)


@pytest.mark.parametrize("change", ["more", "fewer"])
def test_other_images_than_the_manifests_are_refused(whole, change):
    truth = dict(whole.truth)
    if change == "more":
        truth["test/crack/900.png"] = "crack"
    else:
        del truth["test/crack/000.png"]
    whole.tell(truth)
    with pytest.raises(DataError, match=r"do not hold the same test images \(test/crack/.00.png\); delete .*c\.h5 and"):
        whole.evaluate()
    assert not whole.output.exists()


@pytest.mark.parametrize("spelt", ["Crack", "c rack", "cra\u200bck", "\uff43rack"])
def test_a_kind_that_is_spelt_otherwise_among_the_examples_is_refused(category, spelt):
    truth = images("crack", "good")
    category.write(truth, kinds=("crack", "good"))
    category.tell({image_id: spelt if kind == "crack" else kind for image_id, kind in truth.items()})
    with pytest.raises(
        DataError, match=rf"the test images have the kind '{spelt}' but the examples 'crack'; give both"
    ):
        category.evaluate()
    assert not category.output.exists()


def test_a_true_kind_is_named_as_the_examples_of_it_are(category):
    """A defect without a type has the kind that it is drawn as, and letters of two characters are one."""
    truth = images("defective", "ö", each=4)
    category.write(truth, kinds=("defective", "ö"))
    typed = {"defective": "", "ö": "o\u0308"}
    write_manifest(
        category.manifest,
        [replace(record(image_id, "x"), defect_type=typed[kind]) for image_id, kind in truth.items()],
    )
    result = category.evaluate()
    assert result["unknown_kinds"] == []
    assert result["draws"][0]["measured"] == result["draws"][0]["queries"]


def test_a_classification_that_does_not_say_of_what_it_is_is_refused(whole):
    write_classified(whole.classified, whole.truth)
    with pytest.raises(DataError, match="does not name its embedding"):
        whole.evaluate()


def shape(value):
    """The keys of a result, also of what stands in its lists."""
    if isinstance(value, Mapping):
        return {key: shape(item) for key, item in value.items() if key != "provenance"}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [shape(item) for item in value[:1] if isinstance(item, Mapping)]
    return float if isinstance(value, int | float) and not isinstance(value, bool) else type(value)


@pytest.mark.parametrize("labelled", [True, False])
def test_the_evaluations_of_other_tests_have_the_shape_of_real_ones(category, labelled):
    kinds = ("blowhole", "crack", "good", "break")
    truth = images(*kinds, each=9) if labelled else {f"test/{number:03}.png": "" for number in range(24)}
    category.write(truth, source="test" if labelled else "catalogue", seeds=(0, 1), shots=(1, 5))
    assert shape(category.evaluate()) == shape(class_evaluation(labelled=labelled))
    assert set(METRICS) == set(CLASSIFICATION_METRICS)


class Outlined:
    """Test images with and without true masks, and the file of their outlines."""

    def __init__(self, folder):
        self.manifest, self.output = folder / "manifest.csv", folder / "masks" / "truth.h5"
        rng = np.random.default_rng(0)
        self.truths, records = {}, [record("train/good/000.png", "good", split="train")]
        for number, kind in enumerate(["crack", "good", "", "crack", "blowhole"]):
            image_id, size = f"test/{number}.png", (4 + number, 9 - number)
            truth = rng.uniform(size=size) < 0.5
            mask_path = "" if number == 3 else str(folder / f"{number}_mask.png")
            if mask_path:
                Image.fromarray(truth.astype(np.uint8) * 255).save(mask_path)
            is_known = kind not in ("", "good") and mask_path
            self.truths[image_id] = truth if is_known else np.zeros(size, bool)
            records.append(record(image_id, kind, mask_path, size))
        write_manifest(self.manifest, records)

    def write(self):
        outline_truth(manifest=self.manifest, output=self.output, provenance={"stage": "outline_truth"})


def test_true_masks_are_written_at_each_images_own_resolution(tmp_path):
    outlined = Outlined(tmp_path)
    outlined.write()
    with MaskReader(outlined.output) as reader:
        assert reader.image_ids == list(outlined.truths)
        for index, truth in enumerate(outlined.truths.values()):
            np.testing.assert_array_equal(reader.mask(index), truth)
            assert reader.regions(index) == []
        assert [reader.mask(index).any() for index in range(5)] == [True, False, False, False, True]
        assert reader.provenance == {"stage": "outline_truth"}


def test_a_mask_that_does_not_fit_its_image_leaves_no_outlines(tmp_path):
    outlined = Outlined(tmp_path)
    Image.fromarray(np.zeros((3, 3), np.uint8)).save(tmp_path / "4_mask.png")
    with pytest.raises(DataError, match="is 3 x 3 pixels but its image is 5 x 8"):
        outlined.write()
    assert list(outlined.output.parent.iterdir()) == []
