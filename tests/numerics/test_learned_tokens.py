"""AnomalyCLIP's learned tokens through CLIP's text tower against a plain forward pass, and faults of their file."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from reference_networks import LAYOUTS, Weights, block_output, final_norm, linear, part_of

import tiny_texts
from closeness import assert_close
from tiny_texts import (
    BLOCKS,
    END,
    HEADS,
    START,
    VOCABULARY,
    WIDTH,
    learned_state,
    write_learned_tokens,
    write_tiny_clip,
)
from zsad.errors import ConfigError, ModelError
from zsad.models.texts.base import TextEncoder, TextModel
from zsad.models.texts.learned_tokens import LearnedTokens, read_learned_tokens
from zsad.models.texts.loading import load_texts

DEEP = 8
DEEP_KEYS = [f"compound_prompts_text.{block}" for block in range(DEEP)]
WORDS = (["object</w>", ".</w>"], ["damaged</w>", "object</w>", ".</w>"])


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Weights]:
    """Folder and weights of a tiny CLIP."""
    folder = tmp_path_factory.mktemp("clip")
    return folder, write_tiny_clip(folder)


@pytest.fixture(scope="module")
def encoder(saved: tuple[Path, Weights]) -> TextEncoder:
    return load_texts(TextModel(str(saved[0])), "cpu")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_learned_tokens(tmp_path / "epoch_15.pth")


def plain_embedding(weights: Weights, learned: np.ndarray, words: list[str], deep: list[np.ndarray]) -> np.ndarray:
    """AnomalyCLIP's embedding ``[channel]`` of one sentence, filled up to CLIP's 77 tokens as the authors do it.

    Args:
        learned: ``[token, channel]``.
        deep: ``[token, channel]`` each, for the second block and those that follow.
    """
    table = weights["text_model.embeddings.token_embedding.weight"]
    numbers = [VOCABULARY.index(word) for word in words]
    end = 1 + len(learned) + len(numbers)
    states = np.concatenate([table[[START]], learned, table[numbers], table[[END]], table[[0] * (76 - end)]])
    states = states + weights["text_model.embeddings.position_embedding.weight"]
    layout = LAYOUTS["clip_text"]
    for block in range(BLOCKS):
        if 1 <= block <= len(deep):
            replaced = deep[block - 1].astype(np.float16).astype(np.float64)
            states = np.concatenate([states[:1], replaced, states[1 + len(replaced) :]])
        states = block_output(states, part_of(weights, f"{layout.blocks}.{block}."), layout, HEADS, causal=True)
    return linear(final_norm("clip_text", weights, states)[end : end + 1], weights, "text_projection")[0]


def expected_embeddings(weights: Weights, state: dict[str, torch.Tensor], blocks: int = DEEP) -> np.ndarray:
    deep = [state[f"compound_prompts_text.{block}"].numpy() for block in range(blocks)]
    return np.stack(
        [
            plain_embedding(weights, state[key][0, 0].double().numpy(), words, deep)
            for key, words in zip(("ctx_pos", "ctx_neg"), WORDS, strict=True)
        ]
    )


# --- embeddings ---


def test_embeddings_equal_a_plain_forward_pass(saved: tuple[Path, Weights], encoder: TextEncoder, path: Path) -> None:
    embeddings = encoder.encode_learned(read_learned_tokens(path))
    assert embeddings.dtype == np.float32
    expected = expected_embeddings(saved[1], learned_state())
    assert_close(embeddings, expected, share=1e-5)
    assert np.abs(expected[0] - expected[1]).max() > 0.01


@pytest.mark.parametrize("blocks", [1, 3, BLOCKS - 1])
def test_as_many_blocks_get_tokens_as_the_file_has(
    saved: tuple[Path, Weights], encoder: TextEncoder, tmp_path: Path, blocks: int
) -> None:
    state = learned_state(blocks=blocks)
    learned = read_learned_tokens(write_learned_tokens(tmp_path / "a.pth", state))
    assert_close(encoder.encode_learned(learned), expected_embeddings(saved[1], state, blocks), share=1e-5)


@pytest.mark.parametrize("key", ["ctx_pos", "ctx_neg", *DEEP_KEYS])
def test_every_token_matters(encoder: TextEncoder, tmp_path: Path, path: Path, key: str) -> None:
    before = encoder.encode_learned(read_learned_tokens(path))
    state = learned_state()
    state[key] = -state[key]
    after = encoder.encode_learned(read_learned_tokens(write_learned_tokens(tmp_path / "other.pth", state)))
    changes = np.abs(after - before).max(axis=1) > 1e-4
    assert changes.tolist() == [key != "ctx_neg", key != "ctx_pos"]


def test_what_is_written_beside_the_tokens_matters_nothing(encoder: TextEncoder, tmp_path: Path, path: Path) -> None:
    state = {key: value for key, value in learned_state().items() if key.startswith(("ctx_", "compound_prompts_"))}
    without = read_learned_tokens(write_learned_tokens(tmp_path / "bare.pth", state))
    np.testing.assert_array_equal(encoder.encode_learned(without), encoder.encode_learned(read_learned_tokens(path)))


def test_other_texts_are_embedded_as_before(encoder: TextEncoder, path: Path) -> None:
    before = encoder.encode(["an object.", "a damaged object."])
    encoder.encode_learned(read_learned_tokens(path))
    np.testing.assert_array_equal(encoder.encode(["an object.", "a damaged object."]), before)


def test_the_end_is_found_in_old_configurations_too(encoder: TextEncoder, tmp_path: Path, path: Path) -> None:
    write_tiny_clip(tmp_path / "old", eos_token_id=2)
    learned = read_learned_tokens(path)
    old = load_texts(TextModel(str(tmp_path / "old")), "cpu").encode_learned(learned)
    assert_close(old, encoder.encode_learned(learned))


def test_tokens_of_half_precision_are_read(tmp_path: Path, path: Path) -> None:
    half = write_learned_tokens(tmp_path / "half.pth", {key: value.half() for key, value in learned_state().items()})
    for found, expected in zip(read_learned_tokens(half)[:3], read_learned_tokens(path)[:3], strict=True):
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(read_learned_tokens(half).deep, read_learned_tokens(path).deep, rtol=0, atol=0)


# --- what does not fit the model ---


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (learned_state(width=48), r"have 48 channels, but the text tower of model '.*' has 32; choose the model"),
        (learned_state(blocks=BLOCKS), r"are for 11 blocks, but the text tower of model '.*' has 10; choose the model"),
    ],
)
def test_tokens_of_another_model_are_refused_with_both_numbers(
    encoder: TextEncoder, tmp_path: Path, state: dict[str, torch.Tensor], message: str
) -> None:
    learned = read_learned_tokens(write_learned_tokens(tmp_path / "a.pth", state))
    with pytest.raises(ConfigError, match=message) as caught:
        encoder.encode_learned(learned)
    assert "\n" not in str(caught.value)


def test_more_tokens_than_the_model_reads_are_refused(encoder: TextEncoder, path: Path) -> None:
    learned = read_learned_tokens(path)
    for count in (77 - 5, 77 - 4):
        long = learned._replace(anomalous=torch.zeros(count, WIDTH))
        if count == 77 - 5:
            assert encoder.encode_learned(long).shape == (2, encoder.channels)
            continue
        with pytest.raises(ConfigError, match=r"^the 73 learned tokens .* have 78 tokens .*, but model .* reads 77"):
            encoder.encode_learned(long)


def test_a_model_that_takes_no_learned_tokens_says_so(path: Path) -> None:
    class Other(TextEncoder):
        name = "other"

        def encode(self, texts: Any) -> np.ndarray:
            raise NotImplementedError

        def count_tokens(self, text: str) -> int:
            raise NotImplementedError

    with pytest.raises(
        ConfigError, match=r"^model 'other' does not support learned tokens, which are for a CLIP model"
    ):
        Other().encode_learned(read_learned_tokens(path))


# --- the file ---


def refusal(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        read_learned_tokens(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_a_file_of_the_authors_is_read_with_its_own_numbers(tmp_path: Path) -> None:
    state = OrderedDict(learned_state(width=20, blocks=3))
    learned = read_learned_tokens(str(write_learned_tokens(tmp_path / "a.pth", state)))
    assert isinstance(learned, LearnedTokens)
    assert learned.normal.shape == learned.anomalous.shape == (12, 20)
    assert learned.deep.shape == (3, 4, 20)
    assert (learned.normal_words, learned.anomalous_words) == ("object.", "damaged object.")


def test_tokens_stay_when_their_file_is_overwritten(path: Path) -> None:
    learned = read_learned_tokens(str(path))
    before = [tokens.clone() for tokens in learned[:3]]
    with path.open("r+b") as stream:
        stream.write(bytes(path.stat().st_size))
    for found, expected in zip(learned[:3], before, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=0)


def changed(key: str, change: Callable[[torch.Tensor], Any]) -> dict[str, Any]:
    state: dict[str, Any] = learned_state()
    state[key] = change(state[key])
    return state


def without(*keys: str) -> dict[str, torch.Tensor]:
    return {key: value for key, value in learned_state().items() if key not in keys}


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (without("ctx_pos"), "has no 'ctx_pos'; give one as its authors publish it"),
        (without("ctx_neg"), "has no 'ctx_neg'"),
        (without("compound_prompts_text.3"), "has no 'compound_prompts_text.3'"),
        (without(*DEEP_KEYS), "has no 'compound_prompts_text.0'"),
        ({}, "has no 'ctx_pos'"),
        (
            changed("ctx_pos", lambda t: t[..., :16]),
            "of 16 channels in 'ctx_pos' and of 32 in 'ctx_neg'",
        ),
        (
            changed("compound_prompts_text.1", lambda t: t[:, :16]),
            "'compound_prompts_text.0' and 4 x 16 in",
        ),
        (changed("compound_prompts_text.7", lambda t: t[:3]), "and 3 x 32 in 'compound_prompts_text.7', which belong"),
        (changed("ctx_neg", lambda t: t[:, :, :0]), "has no numbers in 'ctx_neg'"),
        (changed("ctx_neg", lambda t: t.long()), "has no numbers in 'ctx_neg'"),
        (changed("ctx_neg", lambda t: t.to_sparse()), "has no numbers in 'ctx_neg'"),
        (changed("ctx_neg", lambda t: t[0]), "has 1 x 12 x 32 values in 'ctx_neg' instead of one sentence"),
        (changed("ctx_neg", lambda t: t.repeat(1, 2, 1, 1)), "has 1 x 2 x 12 x 32 values in 'ctx_neg'"),
        (changed("ctx_pos", lambda t: t.log()), "has values in 'ctx_pos' that are not finite; download it again"),
        (
            changed("compound_prompts_text.2", lambda t: t / 0),
            "in 'compound_prompts_text.2' that are not finite",
        ),
        (
            changed("compound_prompts_text.2", lambda t: t * 1e6),
            "too large for half precision",
        ),
        (changed("ctx_pos", lambda t: 5), "has no tensor in 'ctx_pos'"),
        ({**learned_state(), "visual.proj": torch.ones(2)}, "has 'visual.proj', which such a file has not"),
        ({**learned_state(), "compound_prompts_text.x": torch.ones(2)}, "has 'compound_prompts_text.x', which such"),
        ({**learned_state(), 5: torch.ones(2)}, "has '5', which such a file has not"),
        (
            {**learned_state(), "compound_prompts_text.99999999999": torch.ones(4, WIDTH)},
            "has no 'compound_prompts_text.8'",
        ),
        (
            {**learned_state(), **dict.fromkeys(DEEP_KEYS, torch.ones(3))},
            "has 3 values in 'compound_prompts_text.0' instead of tokens times channels",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_fault_is_one_sentence(tmp_path: Path, state: dict[str, torch.Tensor], message: str) -> None:
    assert message in refusal(write_learned_tokens(tmp_path / "a.pth", state))


@pytest.mark.parametrize(
    ("content", "there"),
    [
        (
            learned_state(),
            " ('ctx_pos', 'ctx_neg', ...)",
        ),
        (
            {"trainable_linearlayer": tiny_texts.linear_state()},
            " ('trainable_linearlayer')",
        ),
        ({"prompt_learner": torch.ones(3)}, " ('prompt_learner')"),
        ({}, ""),
        (torch.ones(3), ""),
        ([learned_state()], ""),
    ],
)
def test_another_file_is_refused(tmp_path: Path, content: Any, there: str) -> None:
    path = tmp_path / "a.pth"
    torch.save(content, path)
    assert refusal(path) == (
        f"{path}{there} is no file of AnomalyCLIP's learned tokens, which has a state dict under 'prompt_learner'; "
        "give one as its authors publish it"
    )


@pytest.mark.parametrize("new", [True, False])
def test_code_in_a_file_is_not_run(tmp_path: Path, new: bool) -> None:
    class Malicious:
        def __reduce__(self) -> tuple[object, tuple[Path]]:
            return Path.touch, (tmp_path / "ran",)

    path = tmp_path / "a.pth"
    for content in (
        {"prompt_learner": {**learned_state(), "ctx_pos": Malicious()}},
        {"prompt_learner": learned_state(), "args": Malicious()},
        Malicious(),
    ):
        torch.save(content, path, _use_new_zipfile_serialization=new)
        assert "or contains more than tensors, which may be harmful code; download it again" in refusal(path)
        assert not (tmp_path / "ran").exists()
    torch.load(path, weights_only=False)
    assert (tmp_path / "ran").exists(), "the code would have run"


@pytest.mark.parametrize("size", [0, 1, 100, 5000, -200])
def test_a_file_that_was_cut_off_is_refused(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])
    assert "is damaged" in refusal(path)


def test_a_file_of_which_a_number_changed_on_the_way_is_refused(path: Path) -> None:
    content = path.read_bytes()
    number = learned_state()["ctx_neg"].numpy().tobytes()[:4]
    assert content.count(number) == 1
    path.write_bytes(content.replace(number, bytes([number[0] ^ 1, *number[1:]])))
    assert refusal(path) == (
        f"the file of AnomalyCLIP's learned tokens {path} is damaged; download it again from its authors"
    )


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("new", [True, False])
def test_a_file_with_other_bytes_in_it_is_read_or_refused(tmp_path: Path, new: bool) -> None:
    path = tmp_path / "a.pth"
    torch.save({"prompt_learner": learned_state(width=8, blocks=2)}, path, _use_new_zipfile_serialization=new)
    content, generator = path.read_bytes(), np.random.default_rng(0)
    ends = np.r_[:2000, len(content) - 4000 : len(content)]  # of the tensors between them, any bytes will do
    refused = []
    for _ in range(120):
        damaged = bytearray(content)
        for place in generator.choice(ends, size=generator.integers(1, 20)):
            damaged[place] = generator.integers(256)
        path.write_bytes(damaged)
        try:
            read_learned_tokens(path)
        except ModelError as error:
            refused.append(str(error))
    assert len(refused) > 20
    assert not any("\n" in sentence for sentence in refused)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "cannot be read (No such file or directory)" in refusal(tmp_path / "absent.pth")
    assert "cannot be read (Is a directory)" in refusal(tmp_path)
