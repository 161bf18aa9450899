"""What is said of texts in the provenance of scores."""

from __future__ import annotations

import json

import numpy as np
import pytest

from texts_asked import MODEL, PROMPTS
from zsad.files.texts import ANOMALOUS, NORMAL, TextReader, TextWriter
from zsad.scoring.describe_texts import describe_texts

SENTENCES = ["a dented lid", "a lid", "a good lid", "a lid with a hole"]
STATES = [ANOMALOUS, NORMAL, NORMAL, ANOMALOUS]


@pytest.fixture
def written(tmp_path):
    """Write texts with a provenance and open them."""

    def write(**provenance):
        path = tmp_path / "texts.h5"
        embeddings = np.eye(4, dtype=np.float32)
        given = {"sentences": SENTENCES, "states": STATES, "embeddings": embeddings, "patch_part": (0, 4)}
        with TextWriter(path, provenance, **given):
            pass
        return TextReader(path)

    return write


def test_the_question_is_kept_word_by_word_and_nothing_of_the_job(written):
    known = {"category": "lid", "part_name": "lid", "prompts": PROMPTS, "model": MODEL}
    with written(**known, seconds=3.0, stage="encode_texts") as texts:
        said = describe_texts(texts)
    assert said == {
        **known,
        "sentences": 4,
        "examples": {"normal": "a lid", "anomalous": "a dented lid"},
    }
    assert json.loads(json.dumps(said)) == said


def test_what_the_texts_do_not_say_is_left_out(written):
    with written(part_name="lid") as texts:
        assert describe_texts(texts).keys() == {"part_name", "sentences", "examples"}
