"""The contact sheet: a gallery as one picture with captions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from zsad.reporting import overlays
from zsad.reporting.entries import PANEL_TITLES, Entry, Gallery
from zsad.reporting.selection import GROUP_TITLES

_CARDS_A_ROW = 2
_MARGIN = 28
_CARD_GAP = 36
_PANEL_GAP = 5
_MIN_CARD = 560
_HEADER = 108
_GROUP_HEADER = 46
_CAPTION = 71
_BAR = (280, 12)
_BAR_LABEL = 92

_PAPER = (255, 255, 255)
_INK = (27, 31, 36)
_FAINT = (104, 112, 122)
_RULE = (212, 216, 221)
_WRONG = (176, 58, 0)


def contact_sheet(gallery: Gallery) -> Image.Image:
    """One RGB picture of all groups of a gallery, two images in a row, each with its four pictures and a caption."""
    card_width = max(_MIN_CARD, *(_card_width(entry) for entries in gallery.groups.values() for entry in entries))
    width = 2 * _MARGIN + _CARDS_A_ROW * (card_width + _CARD_GAP) - _CARD_GAP
    height = _HEADER + sum(_group_height(entries) for entries in gallery.groups.values()) + _MARGIN
    canvas = Image.new("RGB", (width, height), _PAPER)
    pen = ImageDraw.Draw(canvas)
    _draw_header(canvas, pen, gallery)
    top = _HEADER
    for name, entries in gallery.groups.items():
        _write(pen, (_MARGIN, top + 6), GROUP_TITLES[name], size=15, bold=True)
        row_top = top + _GROUP_HEADER
        for row in _rows(entries):
            for column, entry in enumerate(row):
                left = _MARGIN + column * (card_width + _CARD_GAP)
                _draw_card(canvas, pen, (left, row_top), entry, gallery.ranked)
            row_top += _row_height(row)
        top += _group_height(entries)
    return canvas


def _rows(entries: Sequence[Entry]) -> list[Sequence[Entry]]:
    return [entries[start : start + _CARDS_A_ROW] for start in range(0, len(entries), _CARDS_A_ROW)]


def _row_height(row: Sequence[Entry]) -> int:
    return max(_picture_size(entry)[1] for entry in row) + _CAPTION


def _group_height(entries: Sequence[Entry]) -> int:
    return _GROUP_HEADER + sum(_row_height(row) for row in _rows(entries))


def _card_width(entry: Entry) -> int:
    return len(PANEL_TITLES) * (_picture_size(entry)[0] + _PANEL_GAP) - _PANEL_GAP


def _picture_size(entry: Entry) -> tuple[int, int]:
    height, width = entry.pictures["photograph"].shape[:2]
    return width, height


def _draw_header(canvas: Image.Image, pen: ImageDraw.ImageDraw, gallery: Gallery) -> None:
    heading = gallery.heading
    _write(pen, (_MARGIN, 22), f"{heading['category']} · {heading['method']}", size=22, bold=True)
    details = f"{heading['dataset']} · backbone {heading['backbone']} · {heading['setting']} · masks: {_masks(heading)}"
    _write(pen, (_MARGIN, 54), details, size=12, colour=_FAINT)
    left = _MARGIN
    for colour, words in (
        (overlays.PREDICTION_COLOUR, "photograph, predicted outline"),
        (overlays.TRUTH_COLOUR, "ground truth"),
        (None, "anomaly map"),
        (None, "predicted mask"),
    ):
        if colour:
            pen.rectangle((left, 79, left + 12, 91), fill=colour)
            left += 19
        _write(pen, (left, 77), words, size=12)
        left += round(pen.textlength(words, font=overlays.font(12))) + 26
    _draw_colour_bar(canvas, pen, gallery)


def _masks(heading: dict[str, str]) -> str:
    return "thresholded map" if heading["refiner"] == "none" else heading["refiner"]


def _draw_colour_bar(canvas: Image.Image, pen: ImageDraw.ImageDraw, gallery: Gallery) -> None:
    scale = gallery.scale
    width, height = _BAR
    left, top = canvas.width - _MARGIN - width, 44
    title = "anomaly map: the same scale for all images (1st to 99.9th percentile)"
    _write(pen, (canvas.width - _MARGIN, 22), title, size=11, colour=_FAINT, anchor="ra")
    ramp = scale.paint(np.linspace(scale.low, scale.high, width))
    canvas.paste(Image.fromarray(np.repeat(ramp[None], height, axis=0)), (left, top))
    _write(pen, (left, top + height + 5), f"{scale.low:.3g}", size=11)
    _write(pen, (left + width, top + height + 5), f"{scale.high:.3g}", size=11, anchor="ra")
    threshold = gallery.thresholds.region
    if scale.low < threshold < scale.high:
        x = left + round(width * (threshold - scale.low) / (scale.high - scale.low))
        pen.line((x, top - 3, x, top + height + 3), fill=_INK)
        pen.line((x + 1, top, x + 1, top + height - 1), fill=_PAPER)
        middle = min(max(x, left + _BAR_LABEL), left + width - _BAR_LABEL)  # away from the labels at both ends
        _write(pen, (middle, top + height + 5), f"threshold {threshold:.3g}", size=11, anchor="ma")


def _draw_card(
    canvas: Image.Image, pen: ImageDraw.ImageDraw, corner: tuple[int, int], entry: Entry, ranked: int
) -> None:
    left, top = corner
    width, height = _picture_size(entry)
    for column, name in enumerate(PANEL_TITLES):
        x = left + column * (width + _PANEL_GAP)
        canvas.paste(Image.fromarray(entry.pictures[name]).convert("RGB"), (x, top))
        pen.rectangle((x - 1, top - 1, x + width, top + height), outline=_RULE)
    below = top + height + 6
    _write(pen, (left, below), entry.image_id, size=12, bold=True)
    _write(pen, (left, below + 17), _caption(entry, ranked), size=12, colour=_WRONG if _is_wrong(entry) else _INK)
    _write(pen, (left, below + 34), entry.decided_by, size=12, colour=_FAINT)


def _caption(entry: Entry, ranked: int) -> str:
    kind = entry.defect_type or {0: "good", 1: "defective", None: "unlabelled"}[entry.label]
    decision = "called defective" if entry.decision else "called good"
    wrongly = "wrongly " if _is_wrong(entry) else ""
    note = f" · {entry.note}" if entry.note else ""
    marked = f", {entry.marked_regions} marked" if entry.marked_regions else ""
    return f"{kind} · score {entry.score:.4g} · {wrongly}{decision}{marked} · rank {entry.rank} of {ranked}{note}"


def _is_wrong(entry: Entry) -> bool:
    return entry.label is not None and entry.decision != entry.label


def _write(
    pen: ImageDraw.ImageDraw,
    position: tuple[int, int],
    text: str,
    *,
    size: int,
    bold: bool = False,
    colour: tuple[int, int, int] = _INK,
    anchor: str = "la",
) -> None:
    pen.text(position, text, font=overlays.font(size, bold=bold), fill=colour, anchor=anchor)
