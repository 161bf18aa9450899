"""Tokenizers in SentencePiece's own files (Kudo and Richardson, EMNLP 2018), read without its library.

Such a file is a protocol buffer, of which a few fields matter: the pieces with their scores and kinds, how texts are
split into them (by the most likely pieces, or by merging pairs), and how texts are prepared.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers

BLANK = "▁"  # the blank in pieces
# Numbers of fields, and of kinds of pieces, in sentencepiece_model.proto.
PIECES, TRAINER, NORMALIZER = 1, 2, 3
TEXT, SCORE, KIND = 1, 2, 3
MODEL, FALLS_BACK_TO_BYTES = 3, 35
CHARACTERS, HAS_FIRST_BLANK, DROPS_BLANKS = 2, 3, 4
NORMAL, UNKNOWN, USER_DEFINED = 1, 2, 4
UNIGRAM, PAIRS = 1, 2
VARINT, EIGHT_BYTES, LENGTH, FOUR_BYTES = 0, 1, 2, 5  # wire types

Value = int | float | bytes


class Piece(NamedTuple):
    """A token: its text, the logarithm of its probability or its rank among merges, and its kind."""

    text: str
    score: float
    kind: int


class SentencePieces(NamedTuple):
    """The content of a file.

    Attributes:
        pieces: by the number of the token.
        model: ``UNIGRAM`` or ``PAIRS``.
        falls_back_to_bytes: whether characters without a piece become bytes instead of an unknown token.
        characters: replacements of characters beforehand, in SentencePiece's own form; empty for none.
        has_first_blank: whether a blank is added at the beginning of a text.
        drops_blanks: whether blanks at the ends, and repeated blanks, are removed.
    """

    pieces: list[Piece]
    model: int
    falls_back_to_bytes: bool
    characters: bytes
    has_first_blank: bool
    drops_blanks: bool


def read_sentence_pieces(path: Path) -> SentencePieces:
    """Read a file of SentencePiece, such as ``tokenizer.model`` or ``spiece.model``.

    Raises:
        OSError: it cannot be read.
        ValueError: it is damaged, or of an unknown kind.
    """
    content = list(_fields(path.read_bytes()))
    pieces = [_piece(_bytes(value)) for number, value in content if number == PIECES]
    trainer, normalizer = (_last_values(content, number) for number in (TRAINER, NORMALIZER))
    model = int(trainer.get(MODEL, UNIGRAM))
    if not pieces or model not in (UNIGRAM, PAIRS):
        raise ValueError(f"it has {len(pieces)} pieces for a model of kind {model}")
    return SentencePieces(
        pieces,
        model,
        falls_back_to_bytes=bool(trainer.get(FALLS_BACK_TO_BYTES, False)),
        characters=_bytes(normalizer.get(CHARACTERS, b"")),
        has_first_blank=bool(normalizer.get(HAS_FIRST_BLANK, True)),
        drops_blanks=bool(normalizer.get(DROPS_BLANKS, True)),
    )


def tokenizer_of(content: SentencePieces) -> tokenizers.Tokenizer:
    """A tokenizer that splits texts like SentencePiece; it adds no tokens at the ends.

    Raises:
        ValueError: there is no piece for unknown characters.
    """
    unknown = [place for place, piece in enumerate(content.pieces) if piece.kind == UNKNOWN]
    if not unknown:
        raise ValueError("there is no piece for unknown characters")
    tokenizer = tokenizers.Tokenizer(_unigram(content, unknown[0]) if content.model == UNIGRAM else _pairs(content))
    steps: list[normalizers.Normalizer] = []
    if content.characters:
        steps.append(normalizers.Precompiled(content.characters))
    if content.drops_blanks:
        steps += [normalizers.Strip(), normalizers.Replace(tokenizers.Regex(" {2,}"), " ")]
    tokenizer.normalizer = normalizers.Sequence(steps)
    first = "always" if content.has_first_blank else "never"
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement=BLANK, prepend_scheme=first, split=False)
    tokenizer.decoder = decoders.Metaspace(replacement=BLANK, prepend_scheme=first)
    return tokenizer


def _unigram(content: SentencePieces, unknown: int) -> models.Unigram:
    vocabulary = [(piece.text, piece.score) for piece in content.pieces]
    return models.Unigram(vocabulary, unk_id=unknown, byte_fallback=content.falls_back_to_bytes)


def _pairs(content: SentencePieces) -> models.BPE:
    vocabulary = {piece.text: place for place, piece in enumerate(content.pieces)}
    unknown = next(piece.text for piece in content.pieces if piece.kind == UNKNOWN)
    return models.BPE(
        vocab=vocabulary,
        merges=_merges(content.pieces),
        unk_token=unknown,
        fuse_unk=True,
        byte_fallback=content.falls_back_to_bytes,
    )


def _merges(pieces: list[Piece]) -> list[tuple[str, str]]:
    """The merged pairs, in order: any two pieces that form a third, by the score of the third."""
    merged = {piece.text: place for place, piece in enumerate(pieces) if piece.kind in (NORMAL, USER_DEFINED)}
    merges = []
    for piece in sorted((piece for piece in pieces if piece.kind == NORMAL), key=lambda piece: -piece.score):
        splits = [(piece.text[:place], piece.text[place:]) for place in range(1, len(piece.text))]
        pairs = [pair for pair in splits if pair[0] in merged and pair[1] in merged]
        merges += sorted(pairs, key=lambda pair: (merged[pair[0]], merged[pair[1]]))
    return merges


def _piece(content: bytes) -> Piece:
    values = dict(_fields(content))
    return Piece(_bytes(values.get(TEXT, b"")).decode(), float(values.get(SCORE, 0.0)), int(values.get(KIND, NORMAL)))


def _last_values(content: list[tuple[int, Value]], number: int) -> dict[int, Value]:
    """The fields of a nested message; the last one of a number counts; empty if the message is missing."""
    messages = [_bytes(value) for own, value in content if own == number]
    return {own: value for message in messages for own, value in _fields(message)}


def _bytes(value: Value) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError("a field has another kind than in SentencePiece")
    return value


def _fields(content: bytes) -> Iterator[tuple[int, Value]]:
    """Numbers and values of the fields of a protocol buffer."""
    place = 0
    while place < len(content):
        key, place = _varint(content, place)
        number, wire = key >> 3, key & 7
        if wire == VARINT:
            value, place = _varint(content, place)
            yield number, value
            continue
        length = {EIGHT_BYTES: 8, FOUR_BYTES: 4}.get(wire)
        if wire == LENGTH:
            length, place = _varint(content, place)
        if length is None or place + length > len(content):
            raise ValueError("it ends too early, or is not a file of SentencePiece")
        part = content[place : place + length]
        place += length
        yield number, struct.unpack("<f", part)[0] if wire == FOUR_BYTES else part


def _varint(content: bytes, place: int) -> tuple[int, int]:
    """A number in groups of seven bits, the lowest first, and the position after it."""
    value = shift = 0
    while place < len(content) and shift < 64:
        byte = content[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place
    raise ValueError("it ends too early, or is not a file of SentencePiece")
