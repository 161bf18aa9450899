"""The stage that names defect types writes what the embeddings say of every query in every draw, or nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from feature_files import write_features
from zsad.classification.classify_images import classify_images
from zsad.classification.embeddings import EmbeddingOptions
from zsad.classification.nearest_exemplar import NearestExemplar
from zsad.classification.options import ConformalOptions, ProbabilityOptions
from zsad.classification.registry import CLASSIFIERS
from zsad.classification.splits import SplitRow, write_split
from zsad.errors import ConfigError, DataError
from zsad.files.classified import CALIBRATION, LEFT_OUT, QUERY, SUPPORT, ClassifiedReader
from zsad.files.masks import MaskWriter
from zsad.files.provenance import contents_sha256
from zsad.files.scores import ScoreWriter

KINDS = ("crack", "dent", "good")
EACH = 8  # images of each kind
GRID = (4, 5)
SIZE = (32, 40)
CHANNELS = 7
SEEDS = (3, 1)
ALPHA = 0.25
BY_PROBABILITY = ConformalOptions(alpha=ALPHA, by="probability")
CORNERS = {"crack": (0, 0), "dent": (2, 3), "good": (1, 1)}  # where the defect of each kind is, in patches


class Planted(NamedTuple):
    """Images whose class token says their kind, and so do the patches where the defect is; all others are noise."""

    ids: list[str]
    kinds: list[str]
    patches: list[np.ndarray]
    tokens: np.ndarray
    maps: list[np.ndarray]
    masks: list[np.ndarray]

    def in_order(self, order: Sequence[int]) -> Planted:
        """The same images in another order."""
        lists = ([values[place] for place in order] for values in (self.ids, self.kinds, self.patches))
        return Planted(*lists, self.tokens[order], *([values[place] for place in order] for values in self[4:]))


def planted(folder: str = "test", seed: int = 0, noise: float = 0.2) -> Planted:
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(len(KINDS), 2, CHANNELS))
    ids, kinds, patches, tokens, maps, masks = [], [], [], [], [], []
    for number, kind in enumerate(KINDS):
        row, column = CORNERS[kind]
        for image in range(EACH):
            ids.append(f"{folder}/{kind}/{image}.png")
            kinds.append(kind)
            tokens.append(centres[number] + noise * rng.normal(size=(2, CHANNELS)))
            patch = rng.normal(size=(2, *GRID, CHANNELS))
            patch[:, row, column] = centres[number] + noise * rng.normal(size=(2, CHANNELS))
            patches.append(patch)
            anomaly_map = rng.uniform(-1, 0, GRID).astype(np.float32)
            anomaly_map[row, column] = 3
            maps.append(anomaly_map)
            mask = np.zeros(SIZE, bool)
            if kind != "good":
                mask[8 * row : 8 * row + 8, 8 * column : 8 * column + 8] = True
            masks.append(mask)
    return Planted(ids, kinds, patches, np.array(tokens, np.float32), maps, masks)


IMAGES = planted()
BESIDE = planted("examples", seed=7)


def content(image_id: str) -> str:
    """A name for what is in an image."""
    return f"sha256 of {image_id}"


def drawn(images: Planted, shots: int = 3, calibration: int = 2, seeds: Sequence[int] = SEEDS) -> list[SplitRow]:
    """A split of test images; the first image of each kind is a copy of another and left out."""
    rows = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        for kind in KINDS:
            ids = sorted(image_id for image_id, one in zip(images.ids, images.kinds, strict=True) if one == kind)
            rows.append(SplitRow(seed, "test", ids[0], "left_out", None, "", content(ids[0])))
            ranked = [ids[place] for place in rng.permutation(np.arange(1, len(ids)))]
            for rank, image_id in enumerate(ranked[:calibration], 1):
                rows.append(SplitRow(seed, "test", image_id, "calibration", rank, kind, content(image_id)))
            for rank, image_id in enumerate(ranked[calibration : calibration + shots], 1):
                rows.append(SplitRow(seed, "test", image_id, "support", rank, kind, content(image_id)))
            rows += [
                SplitRow(seed, "test", one, "query", None, "", content(one)) for one in ranked[calibration + shots :]
            ]
    return rows


def beside(shots: int = 3, calibration: int = 2) -> list[SplitRow]:
    """A split of examples that lie beside the test images, which are all queries."""
    labelled = [
        replace(row, source="catalogue") for row in drawn(BESIDE, shots, calibration) if row.role not in ("query",)
    ]
    return labelled + [
        SplitRow(seed, "test", one, "query", None, "", content(one)) for seed in SEEDS for one in IMAGES.ids
    ]


class Files:
    """The files of a category, and the stage on them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def features(self, name: str, images: Planted, **provenance: Any) -> Path:
        provenance = {"model": {"id": "toy"}, "backbone": {"resolution": 32}, "view": "original", **provenance}
        path = self.folder / f"{name}.h5"
        return write_features(path, images.patches, images.ids, cls_tokens=images.tokens, **provenance)

    def scores(self, name: str, images: Planted, *, localises: bool = True, **provenance: Any) -> Path:
        path = self.folder / f"{name}.h5"
        sizes = np.array([each.shape for each in images.maps])
        with ScoreWriter(
            path, images.ids, provenance, grid_sizes=sizes, setting="zero-shot-single", localises=localises
        ) as writer:
            for index, anomaly_map in enumerate(images.maps):
                writer.write(index, anomaly_map, float(anomaly_map.max()))
        return path

    def masks(self, name: str, images: Planted, **provenance: Any) -> Path:
        path = self.folder / f"{name}.h5"
        with MaskWriter(path, images.ids, provenance) as writer:
            for mask in images.masks:
                writer.append(mask, 0.0, [])
        return path

    def split(self, rows: Sequence[SplitRow]) -> Path:
        write_split(self.folder / "split.csv", rows)
        return self.folder / "split.csv"

    def classify(self, **changes: Any) -> ClassifiedReader:
        """The stage, by default on drawn examples and class tokens."""
        given: dict[str, Any] = {
            "split": self.folder / "split.csv",
            "features": self.folder / "test.h5",
            "support_features": None,
            "scores": None,
            "support_scores": None,
            "masks": None,
            "regions": "image",
            "classifier": NearestExemplar(),
            "embedding": EmbeddingOptions(),
            "shots": [1, 3],
            "probabilities": ProbabilityOptions(),
            "conformal": ConformalOptions(alpha=ALPHA, by="probability"),
            "output": self.folder / "out" / "classified.h5",
            "provenance": {"stage": "classify_images"},
            **changes,
        }
        try:
            classify_images(**given)
        except Exception:
            assert not given["output"].exists()
            raise
        return ClassifiedReader(given["output"])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with features and a split, to be copied."""
    files = Files(tmp_path_factory.mktemp("made"))
    files.features("test", IMAGES, images_sha256="abc", image_list_sha256="def")
    files.split(drawn(IMAGES))
    return files.folder


@pytest.fixture
def files(made: Path, tmp_path: Path) -> Files:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return Files(tmp_path)


# --- plain reference ---


def plain_vectors(images: Planted) -> dict[str, np.ndarray]:
    vectors = {}
    for image_id, layers in zip(images.ids, images.tokens.astype(float), strict=True):
        joined = np.concatenate([layer / np.linalg.norm(layer) for layer in layers])
        vectors[image_id] = joined / np.linalg.norm(joined)
    return vectors


def check_nearest_exemplars(
    found: ClassifiedReader,
    rows: list[SplitRow],
    vectors: dict[str, np.ndarray],
    shots: Sequence[Any],
    by: str = "probability",
) -> None:
    """Compare all that a file says with loops over draws, images, kinds and examples."""
    assert [(draw.seed, draw.shots) for draw in found.draws] == [(seed, k) for seed in sorted(SEEDS) for k in shots]
    for index, info in enumerate(found.draws):
        draw = found.draw(index)
        own = [row for row in rows if row.seed == info.seed]
        queries = {row.image_id for row in own if row.role == "query"}
        most = 99 if info.shots == "all" else info.shots
        examples = [row for row in own if row.role == "support" and row.rank <= most]
        calibrating = [row for row in own if row.role == "calibration"]
        roles = dict.fromkeys(found.image_ids, LEFT_OUT) | dict.fromkeys(queries, QUERY)
        for role, labelled in ((SUPPORT, examples), (CALIBRATION, calibrating)):
            roles |= {row.image_id: role for row in labelled if row.source == "test"}
        assert draw.roles.tolist() == [roles[image_id] for image_id in found.image_ids]
        assert info.support == [sum(row.kind == kind for row in examples) for kind in KINDS]
        assert info.calibration == [sum(row.kind == kind for row in calibrating) for kind in KINDS]

        def likeness(image_id: str, kind: str, examples: list[SplitRow] = examples) -> tuple[float, str]:
            return max(
                (vectors[image_id] @ vectors[row.image_id], row.image_id) for row in examples if row.kind == kind
            )

        def chances(image_id: str, likeness: Callable[..., tuple[float, str]] = likeness) -> np.ndarray:
            raised = np.array([np.exp(likeness(image_id, kind)[0]) for kind in KINDS])
            return raised / raised.sum()

        for place, image_id in enumerate(found.image_ids):
            if image_id not in queries:
                assert draw.nearest[place].tolist() == [-1] * 3
                continue
            for number, kind in enumerate(KINDS):
                cosine, nearest = likeness(image_id, kind)
                assert draw.scores[place, number] == pytest.approx(cosine, abs=1e-12)
                assert draw.similarity[place, number] == pytest.approx(cosine, abs=1e-12)
                exemplar = found.exemplars[draw.nearest[place, number]]
                assert (exemplar.image_id, exemplar.kind) == (nearest, kind)
                own_kind = [row.image_id for row in calibrating if row.kind == kind]
                if by == "probability":
                    as_odd = sum(chances(one)[number] <= chances(image_id)[number] for one in own_kind)
                else:
                    as_odd = sum(likeness(one, kind)[0] <= cosine for one in own_kind)
                p_value = (as_odd + 1) / (len(own_kind) + 1)
                assert draw.p_values[place, number] == pytest.approx(p_value, abs=1e-12)
                assert draw.in_set[place, number] == (p_value > found.alpha)
            np.testing.assert_allclose(draw.probabilities[place], chances(image_id), rtol=0, atol=1e-12)


def right(found: ClassifiedReader, index: int = -1) -> float:
    """The share of queries that are named as their folder is."""
    draw = found.draw(index % len(found.draws))
    truth = [found.image_ids[place].split("/")[1] for place in draw.queries]
    return float(np.mean([found.kinds[one] for one in draw.predicted[draw.queries]] == np.array(truth)))


# --- what comes out ---


@pytest.mark.parametrize("by", ["probability", "score"])
def test_examples_drawn_from_the_test_images_give_what_plain_loops_give(files: Files, by: str) -> None:
    with files.classify(conformal=ConformalOptions(alpha=ALPHA, by=by)) as found:
        assert (found.image_ids, found.kinds, found.regions, found.alpha) == (IMAGES.ids, [*KINDS], "image", ALPHA)
        check_nearest_exemplars(found, drawn(IMAGES), plain_vectors(IMAGES), [1, 3], by)
        assert [draw.setting for draw in found.draws] == ["few-shot-defects-1", "few-shot-defects-3"] * 2
        assert right(found) == 1
        assert all("at least 3 calibration images" in draw.remarks[0] for draw in found.draws)


def test_examples_beside_the_test_images_give_what_plain_loops_give(files: Files) -> None:
    rows = beside()
    files.split(rows)
    files.features("beside", BESIDE)
    with files.classify(support_features=files.folder / "beside.h5", shots=[1, "all"]) as found:
        check_nearest_exemplars(found, rows, plain_vectors(IMAGES) | plain_vectors(BESIDE), [1, "all"])
        assert {exemplar.source for exemplar in found.exemplars} == {"catalogue"}
        assert len(found.draw(0).queries) == len(IMAGES.ids)
        assert right(found) == 1
        assert set(found.provenance["inputs"]) == {"test", "catalogue"}


def test_the_file_names_what_made_it(files: Files) -> None:
    with files.classify(embedding=EmbeddingOptions(layers=["1"])) as found:
        said = found.provenance
    assert (said["stage"], said["images_sha256"], said["image_list_sha256"]) == ("classify_images", "abc", "def")
    assert said["classifier"] == {"name": "nearest_exemplar", "params": NearestExemplar().parameters()}
    assert said["embedding"] == {"kind": "image", "layers": ["1"]}
    assert said["probabilities"] == ProbabilityOptions().parameters()
    assert said["conformal"] == ConformalOptions(alpha=ALPHA, by="probability").parameters()
    assert said["inputs"]["test"]["features"]["model"] == {"id": "toy"}
    assert said["seconds"] > 0


@pytest.mark.parametrize("sets", ["split", "cross"])
@pytest.mark.parametrize("name", CLASSIFIERS.names())
def test_every_classifier_finds_the_kinds_that_are_planted(files: Files, name: str, sets: str) -> None:
    conformal = ConformalOptions(sets=sets, alpha=0.4, folds=3, by="probability")
    with files.classify(classifier=CLASSIFIERS.build(name), conformal=conformal, shots=[3]) as found:
        draw = found.draw(0)
        assert right(found) == 1
        cosines = plain_vectors(IMAGES)
        for place in draw.queries:
            for kind in range(3):  # the nearest exemplar is by the cosine, whatever the scores are
                exemplar = found.exemplars[draw.nearest[place, kind]]
                expected = cosines[IMAGES.ids[place]] @ cosines[exemplar.image_id]
                assert draw.similarity[place, kind] == pytest.approx(expected, abs=1e-12)
        of_kind = {"split": 2, "cross": 3}[sets]  # calibration images, and examples
        counts = draw.p_values[draw.queries] * (of_kind + 1)
        np.testing.assert_allclose(counts, np.round(counts), rtol=0, atol=1e-12)
        assert (draw.in_set == (draw.p_values > 0.4)).all()
        assert 0 < draw.in_set[draw.queries].mean() < 0.9


def test_calibrated_probabilities_leave_the_sets_to_the_other_images(files: Files) -> None:
    files.split(drawn(IMAGES, shots=1, calibration=4))
    conformal = ConformalOptions(alpha=0.4, by="probability")
    with files.classify(shots=[1], conformal=conformal) as plain:
        before = plain.draw(0)
    options = ProbabilityOptions(calibrated="temperature")
    with files.classify(shots=[1], conformal=conformal, probabilities=options) as fitted:
        after = fitted.draw(0)
    queries = before.queries
    assert np.abs(before.probabilities[queries] - after.probabilities[queries]).max() > 0.1
    assert np.isin(after.p_values[queries] * 3, [1, 2, 3]).all()  # two of the four images of a kind are left
    assert np.isin(before.p_values[queries] * 5, [1, 2, 3, 4, 5]).all()


@pytest.mark.parametrize(("name", "kind"), [("nearest_exemplar", "image"), ("ridge", "both")])
def test_numbers_are_the_same_whatever_the_order_of_the_images(files: Files, name: str, kind: str) -> None:
    def outcome(images: Planted) -> list[Any]:
        files.features("test", images)
        regions = {} if kind == "image" else {"scores": files.scores("scores", images), "regions": "predicted"}
        embedding = EmbeddingOptions(kind=kind)
        with files.classify(classifier=CLASSIFIERS.build(name), embedding=embedding, **regions) as found:
            order = np.argsort(found.image_ids)
            draws = [found.draw(index) for index in range(len(found.draws))]
            return [found.exemplars, *([values[order].tobytes() for values in draw] for draw in draws)]

    shuffled = IMAGES.in_order(np.random.default_rng(5).permutation(len(IMAGES.ids)))
    assert outcome(shuffled) == outcome(IMAGES)


# --- regions ---


def blurred(images: Planted) -> Planted:
    """The same with class tokens that say nothing."""
    return images._replace(tokens=np.random.default_rng(8).normal(size=images.tokens.shape).astype(np.float32))


def test_regions_find_what_whole_images_do_not(files: Files) -> None:
    images = blurred(IMAGES)
    files.features("test", images)
    scores, masks = files.scores("scores", images), files.masks("masks", images)
    with files.classify() as found:
        assert right(found) < 0.8
    region = EmbeddingOptions(kind="region")
    for given in ({"scores": scores}, {"scores": scores, "masks": masks}):
        with files.classify(**given, regions="predicted", embedding=region) as found:
            assert right(found) == 1
            assert found.regions == "predicted"
    with files.classify(masks=masks, scores=scores, regions="ground truth", embedding=region) as found:
        assert right(found) == 1
        assert found.regions == "ground truth"
        assert found.draws[0].remarks[-2:] == [
            "7 of 21 ground-truth masks are empty, which reveals the normal images.",
            "The masks of 7 of 21 images mark nothing; there the highest patches of the map are used instead.",
        ]
    with files.classify(masks=masks, regions="ground truth", embedding=EmbeddingOptions(kind="both")) as found:
        assert any("The position of the defect is unknown in 7 of 21" in remark for remark in found.draws[0].remarks)


def test_regions_of_examples_beside_the_test_images_are_by_maps_of_their_own(files: Files) -> None:
    images, examples = blurred(IMAGES), blurred(BESIDE)
    given = {
        "features": files.features("test", images),
        "support_features": files.features("beside", examples),
        "scores": files.scores("scores", images, scorer={"class": "Toy"}),
        "support_scores": files.scores("support_scores", examples, scorer={"class": "Toy"}),
        "regions": "predicted",
        "embedding": EmbeddingOptions(kind="region"),
    }
    files.split(beside())
    with files.classify(**given) as found:
        assert right(found) == 1
    other = files.scores("other", examples, scorer={"class": "Other"})
    with pytest.raises(DataError, match=r"other\.h5 and .*scores\.h5 come from different methods; delete both"):
        files.classify(**given | {"support_scores": other, "output": files.folder / "out" / "other.h5"})


def test_an_image_that_takes_no_part_is_not_looked_at(files: Files) -> None:
    images = IMAGES._replace(tokens=IMAGES.tokens.copy())
    left_out = IMAGES.ids.index("test/dent/0.png")
    images.tokens[left_out] = 0
    files.features("test", images)
    files.classify().close()
    images.tokens[left_out + 1] = 0
    files.features("test", images)
    (files.folder / "out" / "classified.h5").unlink()
    with pytest.raises(DataError, match=r"the embedding of test/dent/1\.png from .*test\.h5 is zero"):
        files.classify()


def test_copies_among_the_queries_and_between_kinds_are_reported(files: Files) -> None:
    rows = drawn(IMAGES)
    own = [row for row in rows if row.seed == 1]
    example = {kind: next(row.image_id for row in own if row.role == "support" and row.kind == kind) for kind in KINDS}
    query = next(row.image_id for row in own if row.role == "query")
    images = IMAGES._replace(tokens=IMAGES.tokens.copy())
    for copy in (example["good"], query):
        images.tokens[IMAGES.ids.index(copy)] = images.tokens[IMAGES.ids.index(example["crack"])]
    files.features("test", images)
    with files.classify(shots=[3]) as found:
        (remarks,) = [draw.remarks for draw in found.draws if draw.seed == 1]
    assert remarks[-2:] == [
        "Examples of different kinds have the same embedding: crack and good.",
        "1 image to classify has the same embedding as an example, like a copy of it.",
    ]


# --- what is refused ---


def test_a_layer_that_is_not_there_is_refused(files: Files) -> None:
    with pytest.raises(ConfigError, match="the features have no layer '7'"):
        files.classify(embedding=EmbeddingOptions(layers=[7]))


def test_maps_of_a_method_that_does_not_localise_are_refused(files: Files) -> None:
    given = {"regions": "predicted", "embedding": EmbeddingOptions(kind="region")}
    with pytest.raises(DataError, match=r"whole\.h5 is of a method that scores whole images .* choose another"):
        files.classify(**given, scores=files.scores("whole", IMAGES, localises=False))


@pytest.mark.parametrize("what", ["scores", "masks"])
def test_scores_and_masks_of_other_images_are_refused(files: Files, what: str) -> None:
    write = getattr(files, what)
    scores = files.scores("good_scores", IMAGES)
    given = {"regions": "predicted", "embedding": EmbeddingOptions(kind="both"), "scores": scores}
    sentence = r"other\.h5 and .*test\.h5 do not show the same images in the same order; delete both and run again"
    order = [1, 0, *range(2, len(IMAGES.ids))]
    renamed = IMAGES._replace(ids=[*IMAGES.ids[:-1], "test/good/x.png"])
    for others in (IMAGES.in_order(order), IMAGES.in_order(range(len(IMAGES.ids) - 1)), renamed):
        with pytest.raises(DataError, match=sentence):
            files.classify(**given | {what: write("other", others)})
    with pytest.raises(DataError, match=sentence):  # other photographs of the same names
        files.classify(**given | {what: write("other", IMAGES, images_sha256="others")})
    files.classify(**given | {what: write("other", IMAGES, images_sha256="abc")}).close()


STALE: dict[str, tuple[Callable[[list[SplitRow]], list[SplitRow]], str]] = {
    "an image less": (
        lambda rows: [row for row in rows if row.image_id != IMAGES.ids[3]],
        r"test/crack/3\.png is only",
    ),
    "an image less with one seed": (
        lambda rows: [row for row in rows if (row.image_id, row.seed) != (IMAGES.ids[3], 3)],
        r"test/crack/3\.png is only in one",
    ),
    "an image more": (
        lambda rows: [*rows, SplitRow(1, "test", "test/new.png", "query", None, "", "new")],
        r"test/new\.png is only in one",
    ),
    "examples from elsewhere": (
        lambda rows: [replace(row, source="catalogue") if row.role == "support" else row for row in rows],
        "examples of 'catalogue'",
    ),
}


@pytest.mark.parametrize(("change", "words"), STALE.values(), ids=STALE)
def test_a_split_of_other_images_is_refused(
    files: Files, change: Callable[[list[SplitRow]], list[SplitRow]], words: str
) -> None:
    files.split(change(drawn(IMAGES)))
    with pytest.raises(DataError, match=rf"split\.csv is not a split of the images in .*test\.h5 \(.*{words}.*delete"):
        files.classify()


BROKEN: dict[str, tuple[Callable[[list[SplitRow]], list[SplitRow]], str]] = {
    "no example": (
        lambda rows: [replace(row, role="left_out", rank=None, kind="") if row.kind else row for row in rows],
        "it shows fewer than two kinds",
    ),
    "no example of a kind with a seed": (
        lambda rows: [
            replace(row, role="left_out", rank=None, kind="")
            if (row.role, row.kind, row.seed) == ("support", "dent", 3)
            else row
            for row in rows
        ],
        "seed 3 shows other kinds",
    ),
    "no queries": (
        lambda rows: [replace(row, role="left_out") if row.role == "query" else row for row in rows],
        "has no queries",
    ),
    "an image twice": (
        lambda rows: [*rows, SplitRow(1, "test", IMAGES.ids[3], "left_out", None, "", content(IMAGES.ids[3]))],
        "has an image twice",
    ),
    "images under two kinds": (
        lambda rows: [
            replace(row, kind={"dent": "good", "good": "dent"}[row.kind])
            if row.seed == 3 and row.kind in ("dent", "good")
            else row
            for row in rows
        ],
        "under two kinds",
    ),
    "a rank that is skipped": (
        lambda rows: [replace(row, rank=4) if (row.role, row.rank) == ("calibration", 2) else row for row in rows],
        "the calibration images of 'crack' have the ranks",
    ),
    "a query that is an example": (
        lambda rows: [replace(row, sha256="x") if row.role == "query" or row.rank == 1 else row for row in rows],
        "shows an image twice|has a labelled image among its queries",
    ),
}


@pytest.mark.parametrize(("change", "words"), BROKEN.values(), ids=BROKEN)
def test_a_split_that_makes_no_sense_is_refused(
    files: Files, change: Callable[[list[SplitRow]], list[SplitRow]], words: str
) -> None:
    files.split(change(drawn(IMAGES)))
    with pytest.raises(DataError, match=rf"split\.csv .*{words}"):
        files.classify()


def test_more_shots_than_examples_are_refused(files: Files) -> None:
    with pytest.raises(DataError, match="has 3 support images of 'crack', not 4"):
        files.classify(shots=[1, 4])


def test_a_split_of_images_that_were_replaced_is_refused(files: Files) -> None:
    sound = {image_id: content(image_id) for image_id in IMAGES.ids}
    files.features("test", IMAGES, contents_sha256=contents_sha256(sound))
    files.classify().close()
    (files.folder / "out" / "classified.h5").unlink()
    files.features("test", IMAGES, contents_sha256=contents_sha256({**sound, IMAGES.ids[3]: "other"}))
    with pytest.raises(
        DataError, match=r"split\.csv is not a split of the images in .*test\.h5 \(an image was replaced"
    ):
        files.classify()


def test_what_the_draw_says_is_said_of_every_draw(files: Files) -> None:
    write_split(files.folder / "split.csv", drawn(IMAGES), ["The kind 'scratch' is not shown."])
    with files.classify() as found:
        assert all("The kind 'scratch' is not shown." in draw.remarks for draw in found.draws)


def test_examples_that_were_seen_otherwise_are_refused(files: Files) -> None:
    files.split(beside())
    narrow = BESIDE._replace(patches=[one[..., :4] for one in BESIDE.patches], tokens=BESIDE.tokens[..., :4])
    one_layer = BESIDE._replace(patches=[one[:1] for one in BESIDE.patches], tokens=BESIDE.tokens[:, :1])
    for name, images, said in (
        ("channels", narrow, {}),
        ("layers", one_layer, {}),
        ("model", BESIDE, {"model": {"id": "other"}}),
        ("resolution", BESIDE, {"backbone": {"resolution": 64}}),
        ("view", BESIDE, {"view": "hflip"}),
    ):
        path = files.features(name, images, **said)
        with pytest.raises(DataError, match=rf"{name}\.h5 and .*test\.h5 come from different backbones; delete both"):
            files.classify(support_features=path)


def test_features_of_other_examples_are_refused(files: Files) -> None:
    path = files.features("beside", BESIDE.in_order(range(5)))
    files.split(beside())
    with pytest.raises(DataError, match=r"is not a split of the images in .*beside\.h5 \(.*\.png is only in one of"):
        files.classify(support_features=path)
    files.split(drawn(IMAGES))
    with pytest.raises(DataError, match=r"images in .*beside\.h5 \(it names no examples beside the test images\)"):
        files.classify(support_features=path)


@pytest.mark.parametrize(
    "asked",
    [
        {"regions": "predicted"},
        {"embedding": EmbeddingOptions(kind="region")},
        {"embedding": EmbeddingOptions(kind="region"), "regions": "predicted"},
        {"embedding": EmbeddingOptions(kind="region"), "regions": "predicted", "masks": Path("m.h5")},
        {"embedding": EmbeddingOptions(kind="region"), "regions": "ground truth", "scores": Path("s.h5")},
        {"scores": Path("s.h5")},
        {"masks": Path("m.h5")},
        {"support_scores": Path("s.h5")},
    ],
)
def test_what_does_not_go_together_is_a_programming_error(files: Files, asked: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"regions|reads no|no features"):
        files.classify(**asked)


def test_examples_whose_regions_would_be_found_otherwise_are_a_programming_error(files: Files) -> None:
    for read in ({"scores": Path("s.h5")}, {"masks": Path("m.h5"), "scores": Path("s.h5")}):
        with pytest.raises(ValueError, match="must be found like those of the images"):
            files.classify(
                support_features=Path("f.h5"), regions="predicted", embedding=EmbeddingOptions(kind="region"), **read
            )
