"""Files of SentencePiece are read without its library, and split texts as a plain search does."""

from __future__ import annotations

from pathlib import Path

import pytest

from sentence_piece_files import (
    BYTE,
    CONTROL,
    NORMAL,
    PAIRS,
    UNIGRAM,
    UNKNOWN,
    merged_pairs,
    most_likely,
    sentence_piece_file,
)
from zsad.models.texts.sentence_pieces import read_sentence_pieces, tokenizer_of

LETTERS = "▁abcdehlmorst"
SPECIAL = [("<pad>", 0.0, CONTROL), ("</s>", 0.0, CONTROL), ("<unk>", 0.0, UNKNOWN)]
WORDS = ("▁a", "at", "to", "▁s", "cr", "▁scr", "▁scrat", "ch", "▁scratch", "ess", "les", "ho", "le", "hole", "oles")
SCORES = {**{word: -1.0 - place / 3 for place, word in enumerate(WORDS)}, **dict.fromkeys(LETTERS, -20.0)}
BYTES = [(f"<0x{byte:02X}>", 0.0, BYTE) for byte in range(256)]
TEXTS = ["a scratch", "a hole", "scratches to a hole", "at least scratchless", "holes", ""]


def write(path: Path, model: int, *more: tuple[str, float, int], **options: bool) -> Path:
    pieces = [*SPECIAL, *more, *((text, score, NORMAL) for text, score in SCORES.items())]
    path.write_bytes(sentence_piece_file(pieces, model, **options))
    return path


def pieces_of(path: Path, text: str) -> list[str]:
    return tokenizer_of(read_sentence_pieces(path)).encode(text, add_special_tokens=False).tokens


def spelt(text: str) -> str:
    return "".join("▁" + word for word in text.split())


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize(("model", "plain"), [(UNIGRAM, most_likely), (PAIRS, merged_pairs)])
def test_a_text_is_split_as_by_a_plain_search(tmp_path: Path, model: int, plain: object, text: str) -> None:
    path = write(tmp_path / "tokenizer.model", model)
    assert callable(plain)
    expected = plain(spelt(text), SCORES)
    assert pieces_of(path, text) == expected
    assert pieces_of(path, f"  {text.replace(' ', '   ')} ") == expected


def test_both_ways_differ_so_that_the_kind_of_model_matters() -> None:
    assert most_likely(spelt("scratchless holes"), SCORES) != merged_pairs(spelt("scratchless holes"), SCORES)


def test_numbers_of_tokens_are_places_in_the_file(tmp_path: Path) -> None:
    content = read_sentence_pieces(write(tmp_path / "tokenizer.model", PAIRS))
    names = [piece.text for piece in content.pieces]
    ids = tokenizer_of(content).encode("a hole").ids
    assert [names[token] for token in ids] == merged_pairs("▁a▁hole", SCORES)


@pytest.mark.parametrize("model", [UNIGRAM, PAIRS])
def test_unknown_characters_are_one_token_or_their_bytes(tmp_path: Path, model: int) -> None:
    plain = write(tmp_path / "plain.model", model)
    ids = tokenizer_of(read_sentence_pieces(plain)).encode("a ßß").ids
    assert ids.count(2) == 1
    to_bytes = write(tmp_path / "bytes.model", model, *BYTES, falls_back_to_bytes=True)
    assert pieces_of(to_bytes, "ß") == ["▁", "<0xC3>", "<0x9F>"]


def test_a_text_gets_no_blank_where_the_file_says_so(tmp_path: Path) -> None:
    path = write(tmp_path / "tokenizer.model", PAIRS, has_first_blank=False)
    assert pieces_of(path, "scratch a") == merged_pairs("scratch▁a", SCORES)


def test_blanks_stay_where_the_file_says_so(tmp_path: Path) -> None:
    path = write(tmp_path / "tokenizer.model", PAIRS, drops_blanks=False)
    assert pieces_of(path, "a  a") == merged_pairs("▁a▁▁a", SCORES)


@pytest.mark.parametrize("size", [1, 7, 30, -1])
def test_a_file_that_ends_too_early_is_refused(tmp_path: Path, size: int) -> None:
    path = write(tmp_path / "tokenizer.model", PAIRS)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ValueError, match=r"SentencePiece|pieces|decode"):
        read_sentence_pieces(path)


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff" * 20, b"version https://git-lfs.github.com/spec/v1\noid 1"])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "tokenizer.model"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"SentencePiece|pieces|decode"):
        read_sentence_pieces(path)


def test_words_and_characters_as_models_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a model of kind 3"):
        read_sentence_pieces(write(tmp_path / "tokenizer.model", 3))


def test_a_file_without_an_unknown_token_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.model"
    path.write_bytes(sentence_piece_file([("a", -1.0, NORMAL)], UNIGRAM))
    with pytest.raises(ValueError, match="unknown"):
        tokenizer_of(read_sentence_pieces(path))
