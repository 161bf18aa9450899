"""Classifications and their evaluations with made-up content, and what the metrics of classes are, by plain loops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zsad.classification.splits import TEST, Shots, setting_of
from zsad.files.classified import (
    CALIBRATION,
    LEFT_OUT,
    QUERY,
    SUPPORT,
    Classified,
    ClassifiedWriter,
    DrawInfo,
    Exemplar,
)

KINDS = ("blowhole", "crack", "good")
UNKNOWN_KINDS = ("break",)
OVER_MEASURED = (
    *("accuracy", "balanced_accuracy", "macro_f1", "majority", "coverage"),
    *("set_size", "singletons", "singleton_accuracy", "abstained"),
)
OVER_ALL = ("set_size", "singletons", "abstained")  # where nothing is labelled
METRICS = (*OVER_MEASURED, "unknown_abstained")
MARGIN = 0.05  # of the made-up limits


def write_classified(
    path: Path,
    truth: Mapping[str, str],
    *,
    kinds: Sequence[str] = KINDS,
    seeds: Sequence[int] = (0,),
    shots: Sequence[Shots] = (1,),
    calibration: int = 1,
    source: str = TEST,
    right: float = 0.7,
    alpha: float = 0.1,
    regions: str = "image",
    remarks: Sequence[str] = (),
    provenance: Mapping[str, Any] | None = None,
) -> Path:
    """Write what an imaginary classifier says of a category.

    Args:
        truth: the kind of each test image, by which it is drawn and which the classifier guesses; empty if unknown.
        kinds: those that are shown, sorted.
        calibration: images of each kind.
        source: ``"test"``, or the name of a support that lies beside the data set, so that every test image is a query.
        right: how often the most probable kind is the true one of those that are shown, about.
        remarks: of every draw.

    Returns:
        ``path``.
    """
    ids = sorted(truth)
    most = max(len(ids) if count == "all" else count for count in shots)
    exemplars = [
        Exemplar(source, name, kind)
        for kind in kinds
        for name in ([name for name in ids if truth[name] == kind] if source == TEST else beside(kind, most))
    ]
    infos, contents = [], []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        ranked = {
            kind: rng.permutation([place for place, one in enumerate(exemplars) if one.kind == kind]) for kind in kinds
        }
        calibrating = {kind: ranked[kind][:calibration] if source == TEST else [] for kind in kinds}
        drawn = {kind: ranked[kind][len(calibrating[kind]) :][:most] for kind in kinds}
        labelled = [*np.concatenate([*drawn.values(), *calibrating.values()]).astype(int)]
        queries = np.array(
            [source != TEST or name not in {exemplars[place].image_id for place in labelled} for name in ids]
        )
        for count in shots:
            shown = {kind: drawn[kind][: most if count == "all" else count] for kind in kinds}
            roles = np.where(queries, QUERY, LEFT_OUT)
            if source == TEST:
                for role, places in ((SUPPORT, shown), (CALIBRATION, calibrating)):
                    for place in np.concatenate([*places.values()]).astype(int):
                        roles[ids.index(exemplars[place].image_id)] = role
            infos.append(
                DrawInfo(
                    seed=seed,
                    shots=count,
                    setting=setting_of(count),
                    support=[len(shown[kind]) for kind in kinds],
                    calibration=[len(calibrating[kind]) for kind in kinds],
                    remarks=list(remarks),
                )
            )
            contents.append(_said(rng, roles, [truth[name] for name in ids], kinds, shown, right, alpha))
    with ClassifiedWriter(
        path, ids, provenance or {}, kinds=kinds, exemplars=exemplars, draws=infos, alpha=alpha, regions=regions
    ) as writer:
        for index, content in enumerate(contents):
            writer.write(index, content)
    return path


def beside(kind: str, count: int) -> list[str]:
    """The images of a kind in a support that lies beside the data set."""
    return [f"{kind}/{number:03}.png" for number in range(count)]


def _said(
    rng: np.random.Generator,
    roles: np.ndarray,
    truth: Sequence[str],
    kinds: Sequence[str],
    shown: Mapping[str, np.ndarray],
    right: float,
    alpha: float,
) -> Classified:
    """Random scores, in which the true kind is the greatest at the given rate, and sets that go with them."""
    is_query = (roles == QUERY)[:, None]
    scores = rng.uniform(0, 0.9, (len(roles), len(kinds)))
    for image, kind in enumerate(truth):
        if kind in kinds and rng.uniform() < right:
            scores[image, list(kinds).index(kind)] += 0.5
    probabilities = np.exp(3 * scores) / np.exp(3 * scores).sum(axis=1, keepdims=True)
    p_values = np.clip(np.round((scores - 0.5) * 10) / 10, 0.05, 1)
    nearest = np.stack([rng.choice(shown[kind], len(roles)) for kind in kinds], axis=1)
    return Classified(
        roles=roles.astype(np.uint8),
        scores=np.where(is_query, scores, np.nan),
        probabilities=np.where(is_query, probabilities, np.nan),
        p_values=np.where(is_query, p_values, np.nan),
        in_set=is_query & (p_values > alpha),
        nearest=np.where(is_query, nearest, -1).astype(np.int32),
        similarity=np.where(is_query, np.minimum(scores, 1), np.nan),
    )


def class_evaluation(
    category: str = "tiles",
    classifier: str = "nearest",
    *,
    kinds: Sequence[str] = KINDS,
    unknown_kinds: Sequence[str] = UNKNOWN_KINDS,
    shots: Sequence[Shots] = (1, 5),
    seeds: Sequence[int] = (0, 1),
    each: int = 6,
    right: float = 0.7,
    labelled: bool = True,
    backbone: str = "embedded",
    embedding: str = "image",
    regions: str = "image",
    source: str | None = None,
    alpha: float = 0.1,
    remarks: Sequence[str] = (),
) -> dict[str, Any]:
    """The evaluation of an imaginary classifier, as JSON; metrics and matrices are those of its images.

    Args:
        unknown_kinds: of images whose kind was not shown.
        each: images to be named, of each of all kinds.
        right: how often the most probable kind is the true one.
        labelled: False for photographs that nobody has labelled, sorted by examples that lie beside them.
        source: where the examples come from; None for the test images where they are labelled, else ``"catalogue"``.
        remarks: of every draw.
    """
    source = source or (TEST if labelled else "catalogue")
    draws, images = [], {}
    for seed in seeds:
        for count in shots:
            rows = _rows(kinds, unknown_kinds, each, right, labelled, source, alpha, [seed, len(draws), len(category)])
            truth, predicted, sets = ([row[name] for row in rows] for name in ("true", "predicted", "prediction_set"))
            images[seed, count] = rows
            draws.append(
                {
                    "seed": seed,
                    "shots": count,
                    "setting": setting_of(count),
                    "remarks": list(remarks),
                    "support": [12 if count == "all" else count] * len(kinds),
                    "calibration": [3] * len(kinds),
                    "queries": len(rows),
                    "measured": sum(kind in kinds for kind in truth),
                    "unknown": sum(bool(kind) and kind not in kinds for kind in truth),
                    "metrics": plain_metrics(truth, predicted, sets, kinds),
                    "coverage_by_kind": plain_coverage(truth, sets, kinds),
                    "confusion": plain_confusion(truth, predicted, kinds, unknown_kinds if labelled else ()),
                }
            )
    most = max(range(len(shots)), key=lambda place: draws[place]["support"][0])
    return {
        "category": category,
        "classifier": classifier,
        "backbone": backbone,
        "method": "",
        "embedding": embedding,
        "kinds": list(kinds),
        "unknown_kinds": list(unknown_kinds) if labelled else [],
        "alpha": alpha,
        "regions": regions,
        "is_labelled": labelled,
        "shown": most,
        "draws": draws,
        "by_shots": [_over_seeds([draw for draw in draws if draw["shots"] == count]) for count in shots],
        "images": images[seeds[0], shots[most]],
        "provenance": {"stage": "evaluate_classes"},
    }


def plain_metrics(
    truth: Sequence[str], predicted: Sequence[str], sets: Sequence[Sequence[str]], kinds: Sequence[str]
) -> dict[str, float | None]:
    """The metrics of queries, image by image; None for what is not measured.

    Args:
        truth: the kind of each query; empty where it is unknown.
        predicted: the most probable kind.
        sets: the prediction sets.
        kinds: those that were shown.
    """
    rows = list(zip(truth, predicted, sets, strict=True))
    measured = [row for row in rows if row[0] in kinds]
    unknown = [row for row in rows if row[0] and row[0] not in kinds]
    metrics: dict[str, float | None] = dict.fromkeys(METRICS)
    metrics["unknown_abstained"] = _share(not one[2] for one in unknown)
    of_sets = measured if any(truth) else rows
    metrics["set_size"] = _mean(len(row[2]) for row in of_sets)
    metrics["singletons"] = _share(len(row[2]) == 1 for row in of_sets)
    metrics["abstained"] = _share(not row[2] for row in of_sets)
    if not measured:
        return metrics
    metrics["accuracy"] = _share(row[0] == row[1] for row in measured)
    metrics["coverage"] = _share(row[0] in row[2] for row in measured)
    metrics["singleton_accuracy"] = _share(list(row[2]) == [row[0]] for row in measured if len(row[2]) == 1)
    recalls, f1s, counts = [], [], []
    for kind in kinds:
        right = sum(row[0] == kind == row[1] for row in measured)
        there = sum(row[0] == kind for row in measured)
        said = sum(row[1] == kind for row in measured)
        if there:
            recalls.append(right / there)
        f1s.append(2 * right / (there + said) if there + said else 0)
        counts.append(there)
    metrics["balanced_accuracy"] = _mean(recalls)
    metrics["macro_f1"] = _mean(f1s)
    metrics["majority"] = max(counts) / len(measured)
    return metrics


def plain_coverage(
    truth: Sequence[str], sets: Sequence[Sequence[str]], kinds: Sequence[str]
) -> dict[str, float | None]:
    """The share of the queries of each kind whose set has it."""
    return {kind: _share(kind in one for true, one in zip(truth, sets, strict=True) if true == kind) for kind in kinds}


def plain_confusion(
    truth: Sequence[str], predicted: Sequence[str], kinds: Sequence[str], unknown_kinds: Sequence[str]
) -> list[list[int]]:
    """How many queries of each kind, rows, are said to be of each of those that were shown, columns."""
    pairs = list(zip(truth, predicted, strict=True))
    return [[pairs.count((row, column)) for column in kinds] for row in (*kinds, *unknown_kinds)]


def _mean(values: Any) -> float | None:
    values = [float(value) for value in values]
    return sum(values) / len(values) if values else None


_share = _mean


def _over_seeds(draws: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The mean over the draws of one number of shots, with made-up limits."""
    return {
        "shots": draws[0]["shots"],
        "setting": draws[0]["setting"],
        "seeds": [draw["seed"] for draw in draws],
        "metrics": {name: _summary([draw["metrics"][name] for draw in draws]) for name in METRICS},
        "coverage_by_kind": {
            kind: _summary([draw["coverage_by_kind"][kind] for draw in draws]) for kind in draws[0]["coverage_by_kind"]
        },
        "confusion": np.sum([draw["confusion"] for draw in draws], axis=0).tolist(),
    }


def _summary(values: Sequence[float | None]) -> dict[str, float | None]:
    known = [value for value in values if value is not None]
    if not known:
        return {"value": None, "low": None, "high": None, "deviation": None}
    value = sum(known) / len(known)
    deviation = float(np.std(known, ddof=1)) if len(known) > 1 else None
    return {"value": value, "low": max(value - MARGIN, 0), "high": value + MARGIN, "deviation": deviation}


def _rows(
    kinds: Sequence[str],
    unknown_kinds: Sequence[str],
    each: int,
    right: float,
    labelled: bool,
    source: str,
    alpha: float,
    seed: Sequence[int],
) -> list[dict[str, Any]]:
    """The queries of one draw."""
    rng = np.random.default_rng(seed)
    rows = []
    for true in (*kinds, *unknown_kinds):
        for number in range(each):
            likely = true if true in kinds and rng.uniform() < right else str(rng.choice(list(kinds)))
            scores = {kind: float(rng.uniform(0, 0.4) + 0.5 * (kind == likely)) for kind in kinds}
            total = sum(np.exp(3 * score) for score in scores.values())
            p_values = {kind: float(np.clip(round(score - 0.2, 1), 0.05, 1)) for kind, score in scores.items()}
            chosen = [kind for kind in kinds if p_values[kind] > alpha] if number else []
            rows.append(
                {
                    "image_id": f"test/{true}/{number:03}.png" if labelled else f"test/{len(rows):03}.png",
                    "true": true if labelled else "",
                    "predicted": max(scores, key=lambda kind: scores[kind]),
                    "probabilities": {kind: float(np.exp(3 * score) / total) for kind, score in scores.items()},
                    "p_values": p_values,
                    "prediction_set": chosen,
                    "abstained": not chosen,
                    "nearest": {
                        kind: {
                            "source": source,
                            "image_id": f"test/{kind}/9{number:02}.png"
                            if source == TEST
                            else f"{kind}/{number:03}.png",
                            "similarity": min(score, 1.0),
                        }
                        for kind, score in scores.items()
                    },
                }
            )
    return sorted(rows, key=lambda row: row["image_id"])
