"""Files of SentencePiece made on the spot, and the tokens of a text by plain search through all that is possible."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Sequence

UNIGRAM, PAIRS = 1, 2
NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6


def sentence_piece_file(
    pieces: Sequence[tuple[str, float, int]],
    model: int,
    *,
    falls_back_to_bytes: bool = False,
    has_first_blank: bool = True,
    drops_blanks: bool = True,
) -> bytes:
    """The content of a ``tokenizer.model``: pieces with their scores and kinds, in the order of their numbers."""
    content = b""
    for text, score, kind in pieces:
        content += message(1, message(1, text.encode()) + key(2, 5) + struct.pack("<f", score) + number(3, kind))
    trainer = number(3, model) + number(4, len(pieces)) + number(35, falls_back_to_bytes) + key(10, 5) + b"\0\0\0\0"
    normalizer = message(1, b"identity") + number(3, has_first_blank) + number(4, drops_blanks)
    return content + message(2, trainer) + message(3, normalizer)


def message(field: int, content: bytes) -> bytes:
    return key(field, 2) + varint(len(content)) + content


def number(field: int, value: int) -> bytes:
    return key(field, 0) + varint(int(value))


def key(field: int, wire: int) -> bytes:
    return varint(field << 3 | wire)


def varint(value: int) -> bytes:
    groups = []
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])


def most_likely(text: str, scores: dict[str, float]) -> list[str]:
    """The pieces of a text with the largest sum of scores."""
    best: list[tuple[float, list[str]]] = [(0.0, [])]
    for end in range(1, len(text) + 1):
        best.append(
            max(
                (
                    (best[start][0] + scores[text[start:end]], [*best[start][1], text[start:end]])
                    for start in range(end)
                    if text[start:end] in scores
                ),
                default=(-1e9, []),
            )
        )
    return best[-1][1]


def merged_pairs(text: str, scores: dict[str, float]) -> list[str]:
    """The pieces that remain when the pair of neighbours whose merger scores highest is merged, again and again."""
    parts = list(text)
    while True:
        pairs = map("".join, itertools.pairwise(parts))
        found = [(scores[pair], -place) for place, pair in enumerate(pairs) if pair in scores]
        if not found:
            return parts
        place = -max(found)[1]
        parts[place : place + 2] = ["".join(parts[place : place + 2])]
