"""Alignment of a transformed image with its original: shift, tilt and residuals on the patch grid.

With ``g`` a reflection or a rotation about the middle of the frame, position ``u = (row, column)`` of ``gx`` shows
position ``m + L (u - m)`` of ``x``, where ``m`` is the middle of the grid and ``L`` a 2 x 2 matrix.

Patches are compared by the cosine distance ``h`` of unit features, which for the operands of
`zsad.scoring.similarity.Metric` is a product, ``h(p, q) = <queries[p], points[q]>``. So the distances of all patches to
those some rows below come from one product per row, those at a shift along the rows are a diagonal of it, and the mean
over all pairs of two sets of patches is the product of the mean query and the mean point.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from typing import NamedTuple

import numpy as np

from zsad.lazy import torch
from zsad.scoring.compute import Compute
from zsad.scoring.similarity import Metric
from zsad.scoring.tokens import normalise

SMALLEST_CHANCE = 1e-5  # below it all patches are equal, so that a match has no meaning
EQUAL = 1e-5  # asymmetries that differ by less are equal; it exceeds rounding errors
ROUNDING = 1e-3  # of a position, patches
BLOCK_SHARE = 0.25  # of the memory, for distances between rows of the grid
DISTANCE_BYTES, SHIFT_BYTES = 4, 24  # of a pair of patches; of a patch at a shift
TILT_STEP = 2.5  # degrees
CLEAR_GAIN = 0.05  # share by which a tilt must reduce the asymmetry

MIRRORS = {"hflip": np.diag([1.0, -1.0]), "vflip": np.diag([-1.0, 1.0])}  # ``L`` by view


class Image(NamedTuple):
    """An image, prepared for comparisons.

    Attributes:
        queries: ``[row, column, width]``, left operands of distances.
        metric: metric that makes right operands to them.
    """

    queries: torch.Tensor
    metric: Metric

    @classmethod
    def of(cls, tokens: torch.Tensor, compute: Compute) -> Image:
        """The image with unit tokens ``[row, column, channel]``."""
        metric = Metric(compute._replace(precision="float32"), tokens.mean(dim=(0, 1)))
        return cls(metric.queries(metric.points(tokens)).reshape(*tokens.shape[:2], -1), metric)

    def points(self, tokens: torch.Tensor) -> torch.Tensor:
        """Right operands ``[row, column, width]`` of the unit tokens of a grid of the same size."""
        return self.metric.points(tokens).reshape(self.queries.shape)


class Shift(NamedTuple):
    """Position of the partner of each patch in the transformed image.

    Attributes:
        down, along: that of patch ``(r, c)`` is ``(r + down, c + along)``.
        asymmetry: mean distance of the pairs, relative to unrelated pairs; infinite without pairs.
    """

    down: int
    along: int
    asymmetry: float


class Alignment(NamedTuple):
    """A transformed image, aligned with the image.

    Attributes:
        points: ``[row, column, width]``, its right operands.
        shown: ``[row, column, 2]``, the position in the image that each of its patches shows.
        valid: bool ``[row, column]``, whether that position lies in the image.
        shift: from a patch of the image to its partner.
        tilt: angle of the mirror axis from the vertical or horizontal, degrees counter-clockwise.
    """

    points: torch.Tensor
    shown: torch.Tensor
    valid: torch.Tensor
    shift: Shift
    tilt: float = 0.0


def aligned(image: Image, view: str, tokens: torch.Tensor, max_shift: float, max_tilt: float) -> Alignment:
    """Align a transformed image at the shift of least asymmetry, with a tilt if that is clearly better.

    Args:
        view: how the image was transformed; ``hflip``, ``vflip`` or ``rot`` with degrees.
        tokens: of the transformed image, unit vectors ``[row, column, channel]``.
        max_shift: greatest shift along either axis of the grid, as a share of the side.
        max_tilt: greatest tilt of a mirror axis, degrees.
    """
    rows, columns, _ = tokens.shape
    matrix = view_matrix(view)
    reach = (int(max_shift * rows), int(max_shift * columns))
    shown, points = places(matrix, rows, columns, tokens.device), image.points(tokens)
    valid = within(shown, rows, columns)
    upright = Alignment(points, shown, valid, best_shift(image, points, valid, reach))
    if view not in MIRRORS or upright.shift.asymmetry <= EQUAL:
        return upright
    best = upright
    for tilt in tilts(max_tilt):
        best = min(best, _tilted(image, matrix, tokens, reach, tilt), key=lambda alignment: alignment.shift.asymmetry)
    return best if best.tilt and _clearly_better(best, upright, image, tokens) else upright


def tilts(most: float) -> list[float]:
    """The tilts to test, degrees, small ones first."""
    steps = math.ceil(most / TILT_STEP)
    return [sign * most * step / steps for step in range(1, steps + 1) for sign in (1, -1)]


def turn(angle: float) -> np.ndarray:
    """``L`` of an image rotated counter-clockwise by ``angle`` degrees, float64 ``[2, 2]``."""
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    return np.array([[cosine, sine], [-sine, cosine]])


def view_matrix(view: str) -> np.ndarray:
    """``L`` of a view, float64 ``[2, 2]``."""
    return MIRRORS[view] if view in MIRRORS else turn(float(view.removeprefix("rot")))


def places(matrix: np.ndarray, rows: int, columns: int, device: torch.device) -> torch.Tensor:
    """The position ``m + L (u - m)`` of each ``u``, float32 ``[row, column, 2]``; it may lie outside the grid."""
    middle = np.array([(rows - 1) / 2, (columns - 1) / 2])
    own = np.stack(np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij"), axis=2)
    return torch.from_numpy(middle + (own - middle) @ matrix.T).float().to(device)


def within(places: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """Whether positions lie between the centres of the outermost patches, bool ``[row, column]``."""
    last = places.new_tensor([rows - 1, columns - 1])
    return ((places >= -ROUNDING) & (places <= last + ROUNDING)).all(dim=2)


def resampled(tokens: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Tokens at other positions, interpolated bilinearly and scaled to length one, ``[row, column, channel]``.

    Args:
        tokens: unit vectors ``[row, column, channel]``.
        places: ``[row, column, 2]``; one outside the grid is moved to its edge.
    """
    rows, columns, channels = tokens.shape
    last = places.new_tensor([rows - 1, columns - 1])
    places = places.clamp(min=0).minimum(last)
    before = places.floor()
    after = (before + 1).minimum(last)
    corners = [(r, c) for r in (before, after) for c in (before, after)]
    shares = [(r, c) for r in (1 - places + before, places - before) for c in (1 - places + before, places - before)]
    mixed = torch.nn.functional.embedding_bag(  # a weighted sum of four tokens each, in one pass
        torch.stack([(r[..., 0] * columns + c[..., 1]).long() for r, c in corners], dim=2).reshape(-1, 4),
        tokens.reshape(-1, channels),
        per_sample_weights=torch.stack([r[..., 0] * c[..., 1] for r, c in shares], dim=2).reshape(-1, 4),
        mode="sum",
    )
    return normalise(mixed).reshape(tokens.shape)


def best_shift(image: Image, points: torch.Tensor, valid: torch.Tensor, reach: tuple[int, int]) -> Shift:
    """The shift of least asymmetry; the smallest of equal ones.

    Args:
        points, valid: see `asymmetries`.
        reach: greatest shift along either axis, patches.
    """
    down, along = (range(-most, most + 1) for most in reach)
    found = asymmetries(image, points, valid, down, along).cpu().numpy()
    distance = np.hypot(*np.meshgrid(down, along, indexing="ij"))
    row, column = np.unravel_index(np.where(found <= found.min() + EQUAL, distance, np.inf).argmin(), found.shape)
    return Shift(down[row], along[column], float(found[row, column]))


def asymmetries(
    image: Image, points: torch.Tensor, valid: torch.Tensor, down: Sequence[int], along: Sequence[int]
) -> torch.Tensor:
    """``A`` of each shift: mean distance of the pairs, relative to the mean distance of all pairs of their patches.

    A shift down costs ``2 columns`` operations per number of the grid, for any shifts along; the chance level costs 2
    per shift.

    Args:
        points: of the transformed image, ``[row, column, width]``.
        valid: bool ``[row, column]``, the patches of the transformed image that count.
        down, along: the shifts along the two axes of the grid.

    Returns:
        float32 ``[down, along]``; infinite if no patches overlap, or if the overlapping ones are all equal, so that any
        shift would fit. If they are equal without a shift, that is symmetric: 0.
    """
    rows, columns, _ = points.shape
    points = points * valid[..., None]
    memory = image.metric.compute.memory
    results = []
    for step in down:
        here, there = overlap(rows, step), overlap(rows, -step)
        blocks = _column_blocks(rows, columns, len(along), memory)
        sums = (_sums(image.queries[here, some], points[there], valid[there], some, along) for some in blocks)
        total, count, queries_sum = reduce(_added, sums)
        points_sum = _reached_sum(points[there].sum(dim=0), along, memory)
        chance = (queries_sum * points_sum).sum(dim=1) / count.clamp(min=1) ** 2
        asymmetry = (total / count.clamp(min=1) / chance.clamp(min=SMALLEST_CHANCE)).clamp(min=0)
        alike = torch.tensor([0.0 if step == shift == 0 else torch.inf for shift in along], device=valid.device)
        asymmetry = torch.where(chance < SMALLEST_CHANCE, alike, asymmetry)
        results.append(torch.where(count > 0, asymmetry, torch.inf))
    return torch.stack(results)


def _added(
    one: tuple[torch.Tensor, torch.Tensor, torch.Tensor], other: tuple[torch.Tensor, torch.Tensor, torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return one[0] + other[0], one[1] + other[1], one[2] + other[2]


def _sums(
    queries: torch.Tensor, points: torch.Tensor, valid: torch.Tensor, some: slice, along: Sequence[int]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Sums of `asymmetries` over the pairs of some columns of the image, at each shift along the rows.

    Args:
        queries: of these columns, ``[row, column, width]``.
        points: zero where not valid.

    Returns:
        Sum of the distances and number of the pairs, ``[shift]``, and the sum of their queries, ``[shift, width]``.
    """
    total = _at_shifts(_rows_against_rows(queries, points).sum(dim=0), some, along, 0).sum(dim=0)
    counted = _valid_at_shifts(valid, some, along)  # [row, column, shift]
    queries_sum = counted.flatten(0, 1).T.to(queries.dtype) @ queries.flatten(0, 1)
    return total, counted.sum(dim=(0, 1)), queries_sum


def _reached_sum(points: torch.Tensor, along: Sequence[int], memory: int) -> torch.Tensor:
    """Sum of the columns, ``[column, width]``, that lie at each shift from another column: ``[shift, width]``."""
    columns = len(points)
    size = max(1, int(BLOCK_SHARE * memory) // (SHIFT_BYTES * columns))
    sums = []
    for start in range(0, len(along), size):
        back = [-shift for shift in along[start : start + size]]
        reached = _column_at(columns, slice(0, columns), back, points.device)[1].T  # [shift, column]
        sums.append(reached.to(points.dtype) @ points)
    return torch.cat(sums)


def residuals(image: Image, alignment: Alignment, window: int) -> torch.Tensor:
    """Least distance of each patch to the valid patches around its partner, ``[row, column]``.

    Infinite if the partner itself is not valid or outside the grid.

    Args:
        window: greatest Chebyshev distance from the partner, patches.
    """
    points, valid, shift = alignment.points, alignment.valid, alignment.shift
    rows, columns, _ = points.shape
    down, along = (
        range(max(middle - window, 1 - size), min(middle + window + 1, size))  # shifts within the grid
        for middle, size in ((shift.down, rows), (shift.along, columns))
    )
    least = points.new_full((rows, columns), torch.inf)
    for step in down:
        here, there = overlap(rows, step), overlap(rows, -step)
        for some in _column_blocks(rows, columns, len(along), image.metric.compute.memory):
            distances = _rows_against_rows(image.queries[here, some], points[there])
            distances.masked_fill_(~valid[there][:, None], torch.inf)
            nearest = _at_shifts(distances, some, along, torch.inf).amin(dim=2)
            least[here, some] = least[here, some].minimum(nearest)
    return least.clamp(min=0).masked_fill(~at_partner(valid, shift, False), torch.inf)


def at_partner(values: torch.Tensor, shift: Shift, outside: float) -> torch.Tensor:
    """Values of a grid at the partner of each patch, ``[row, column, ...]``; ``outside`` if that is off the grid."""
    rows, columns = values.shape[:2]
    moved = torch.full_like(values, outside)
    moved[overlap(rows, shift.down), overlap(columns, shift.along)] = values[
        overlap(rows, -shift.down), overlap(columns, -shift.along)
    ]
    return moved


def overlap(size: int, shift: int) -> slice:
    """The positions ``p`` along an axis for which ``p + shift`` also lies on it."""
    return slice(max(0, -shift), max(0, min(size, size - shift)))


def _tilted(image: Image, matrix: np.ndarray, tokens: torch.Tensor, reach: tuple[int, int], tilt: float) -> Alignment:
    """Align a mirrored image, resampled for an axis tilted by ``tilt`` degrees, at its best shift.

    An axis at a distance from the middle causes a shift perpendicular to it, so that the search along it is short.

    Args:
        matrix: of the mirror, ``[2, 2]``.
        tokens: of the mirrored image, ``[row, column, channel]``.
        reach: greatest shift along either axis of the grid, patches.
    """
    rows, columns, _ = tokens.shape
    shown = places(matrix @ turn(2 * tilt), rows, columns, tokens.device)
    valid = within(shown, rows, columns)
    points = image.points(resampled(tokens, places(turn(2 * tilt), rows, columns, tokens.device)))
    across = 0 if matrix[0, 0] < 0 else 1
    slant = math.ceil(reach[across] * math.tan(math.radians(abs(tilt))))
    narrowed = (reach[0], min(slant, reach[1])) if across == 0 else (min(slant, reach[0]), reach[1])
    return Alignment(points, shown, valid, best_shift(image, points, valid, narrowed), tilt)


def _clearly_better(tilted: Alignment, upright: Alignment, image: Image, tokens: torch.Tensor) -> bool:
    """Whether a tilt explains more than the smoothing by resampling."""
    rows, columns, _ = tokens.shape
    sampled = places(turn(2 * tilted.tilt), rows, columns, tokens.device)
    nearby = places(np.eye(2), rows, columns, tokens.device) + sampled - sampled.round()
    points, valid = image.points(resampled(tokens, nearby)), within(nearby, rows, columns)
    down, along, asymmetry = upright.shift
    smoothed = float(asymmetries(image, points, valid, [down], [along]))
    return tilted.shift.asymmetry < (1 - CLEAR_GAIN) * min(asymmetry, smoothed)


def _rows_against_rows(queries: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """``h`` of each patch and each patch of the same row of another grid, ``[row, column, other column]``."""
    return torch.bmm(queries, points.transpose(1, 2))


def _column_blocks(rows: int, columns: int, shifts: int, memory: int) -> list[slice]:
    """The columns of a grid in blocks whose comparison with all columns fits a share of the memory."""
    bytes_each = rows * (DISTANCE_BYTES * columns + SHIFT_BYTES * shifts)
    size = max(1, int(BLOCK_SHARE * memory) // bytes_each)
    return [slice(start, min(start + size, columns)) for start in range(0, columns, size)]


def _at_shifts(distances: torch.Tensor, some: slice, along: Sequence[int], outside: float) -> torch.Tensor:
    """The diagonals of ``[..., column, other column]`` as ``[..., column, shift]``; ``outside`` beyond the matrix.

    Args:
        distances: of some of the columns, and all other columns.
    """
    there, inside = _column_at(distances.shape[-1], some, along, distances.device)
    return distances.gather(-1, there.expand(*distances.shape[:-1], -1)).masked_fill(~inside, outside)


def _valid_at_shifts(valid: torch.Tensor, some: slice, along: Sequence[int]) -> torch.Tensor:
    """Whether the patch at each shift along the row counts, bool ``[row, column, shift]``, for some columns."""
    there, inside = _column_at(valid.shape[1], some, along, valid.device)
    return valid[:, there] & inside


def _column_at(
    columns: int, some: slice, along: Sequence[int], device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """The column at each shift from some columns, ``[column, shift]``, and whether it exists."""
    own = torch.arange(some.start, some.stop, device=device)
    there = own[:, None] + torch.tensor(list(along), device=device)
    return there.clamp(0, columns - 1), (there >= 0) & (there < columns)
