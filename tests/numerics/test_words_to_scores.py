"""From a photograph and words to scores, by a small CLIP on disk, against plain sums over its sentences."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from test_scorer_winclip import reference
from transformers import CLIPModel, CLIPTokenizer

from closeness import assert_close
from text_files import class_means, probability
from tiny_texts import linear_state, write_learned_tokens, write_linear_layers, write_tiny_clip
from zsad.errors import DataError
from zsad.features.execution import Execution
from zsad.features.image_text import ImageText
from zsad.files.texts import TextReader
from zsad.scoring.base import ImageScore, Scorer
from zsad.scoring.compute import Compute
from zsad.scoring.text_similarity import TextSimilarity
from zsad.scoring.token_source import MemoryTokens
from zsad.scoring.winclip import WinClip
from zsad.texts.encode_texts import encode_texts

ROWS, COLUMNS, PATCH = 3, 5, 4
RAW = {"path": "plain", "projected": False, "normed": False, "layers": [0, 1, 2, 3]}


class Place(NamedTuple):
    """A folder with a small CLIP in it."""

    folder: Path

    def backbone(self, **params: Any) -> ImageText:
        return ImageText.build(
            {"model": str(self.folder), "resolution": ROWS * PATCH, "dtype": "float32", **params}, where="here"
        )

    def texts(self, output: Path, prompts: str = "winclip", trained_on: str | None = None) -> TextReader:
        encode_texts(
            category="lid",
            part_name="lid",
            prompts=prompts,
            trained_on=trained_on,
            backbone=self.backbone(),
            execution=Execution(device="cpu"),
            output=output,
            provenance={},
        )
        return TextReader(output)

    def features(self, texts: TextReader, **params: Any) -> MemoryTokens:
        """Those of a photograph of noise."""
        backbone = self.backbone(**params)
        extractor = backbone.load(Execution(device="cpu"))
        pixels = np.random.default_rng(0).integers(0, 256, (ROWS * PATCH, COLUMNS * PATCH, 3), dtype=np.uint8)
        tokens = extractor.extract(pixels)
        return MemoryTokens(
            [tokens.patch_tokens],
            tokens.cls_tokens[None],
            ["test/0.png"],
            extractor.layers,
            provenance={"model": extractor.model, "backbone": backbone.parameters()},
            texts=texts,
        )


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("clip")
    write_tiny_clip(folder)
    return Place(folder)


def scored(scorer: Scorer, features: MemoryTokens) -> ImageScore:
    (score,) = scorer.score({"test": features}, Compute())
    return score


def test_winclip_says_of_a_photograph_what_plain_sums_over_sentences_do(clip: Place, tmp_path: Path) -> None:
    with clip.texts(tmp_path / "texts.h5") as texts:
        features = clip.features(texts, path="windows")
        assert features.layers == ["window2", "window3", "patches"]
        score = scored(WinClip(), features)
        whole, expected = reference(features, 0, texts, "raw", 0.07, (2, 3))
        assert expected.shape == (ROWS, COLUMNS)
        assert_close(score.anomaly_map, expected, size=1.0, share=1e-5)
        model, tokenizer = CLIPModel.from_pretrained(clip.folder).double(), CLIPTokenizer.from_pretrained(clip.folder)
        sums = np.zeros((2, features.cls_tokens().shape[2]))
        with torch.inference_mode():
            for sentence, state in zip(texts.sentences, texts.states, strict=True):
                tower = model.text_model(**tokenizer(sentence, return_tensors="pt")).pooler_output
                embedding = model.text_projection(tower)[0].numpy()
                sums[state, : len(embedding)] += embedding / np.count_nonzero(texts.states == state)
        assert whole == pytest.approx(probability(features.cls_tokens_of(0)[0], sums, 0.07), abs=1e-5)
        assert score.image_score == pytest.approx(whole, abs=1e-5)


@pytest.mark.parametrize("params", [{"path": "values", "first_value_block": -2}, {"path": "plain"}])
def test_patches_are_compared_with_learned_tokens(clip: Place, params: dict[str, Any], tmp_path: Path) -> None:
    learned = write_learned_tokens(tmp_path / "learned.pth")
    scorer = TextSimilarity(text_prompts=str(learned), trained_on="visa")
    with clip.texts(tmp_path / "texts.h5", str(learned), "visa") as texts:
        assert texts.states.tolist() == [0, 1]
        features = clip.features(texts, **params)
        score = scored(scorer, features)
        classes = class_means(texts, "normalised")
        tokens = features.patch_tokens(0)[0]
        for row, column in np.ndindex(ROWS, COLUMNS):
            expected = probability(tokens[row, column, : classes.shape[1]], classes, 0.07)
            assert score.anomaly_map[row, column] == pytest.approx(expected, abs=1e-5)
        vector = features.cls_tokens_of(0)[0][: classes.shape[1]]
        assert score.image_score == pytest.approx(probability(vector, classes, 0.07), abs=1e-5)


def test_raw_outputs_of_blocks_go_through_linear_layers(clip: Place, tmp_path: Path) -> None:
    state = linear_state()
    path = str(write_linear_layers(tmp_path / "linear.pth", state))
    scorer = TextSimilarity(text_prompts="april_gan", linear_layers=path, trained_on="visa")
    with clip.texts(tmp_path / "texts.h5", "april_gan") as texts:
        features = clip.features(texts, **RAW)
        score = scored(scorer, features)
        classes = class_means(texts, "normalised")
        tokens = features.patch_tokens(0).astype(np.float64)
        for row, column in np.ndindex(ROWS, COLUMNS):
            of_layers = [
                probability(
                    state[f"fc.{layer}.weight"].double().numpy() @ tokens[layer, row, column]
                    + state[f"fc.{layer}.bias"].double().numpy(),
                    classes,
                    0.01,
                )
                for layer in range(4)
            ]
            assert score.anomaly_map[row, column] == pytest.approx(np.mean(of_layers), abs=2e-5)


@pytest.mark.parametrize(
    ("params", "reason"), [({"path": "windows"}, "the method cannot read"), (RAW, "the method cannot read")]
)
def test_patches_that_lie_elsewhere_are_refused(clip: Place, params: dict[str, Any], reason: str, tmp_path) -> None:
    with clip.texts(tmp_path / "texts.h5") as texts, pytest.raises(DataError, match=reason):
        scored(TextSimilarity(), clip.features(texts, **params))


def test_texts_of_another_model_are_refused(clip: Place, tmp_path: Path) -> None:
    other = tmp_path / "other"
    write_tiny_clip(other)
    with Place(other).texts(tmp_path / "texts.h5") as texts, pytest.raises(DataError, match="different models"):
        scored(TextSimilarity(), clip.features(texts))
