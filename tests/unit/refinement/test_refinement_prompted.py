"""One image under a model: which embedding a prompt is decoded from, and how many prompts at a time."""

import numpy as np
import pytest

import zsad.segmentation.base as segmentation_base
from zsad.errors import DataError
from zsad.files.embeddings import EmbeddingReader, EmbeddingWriter
from zsad.refinement.prompted import PromptedImage
from zsad.segmentation.base import Candidates, Prompt, Segmenter

HEIGHT, WIDTH = 30, 50
CROP = (4, 6, 14, 16)


class Recording(Segmenter):
    """Answers every prompt with its own first coordinate, and keeps what it was asked."""

    def __init__(self):
        self.calls = []

    def decode(self, embedding, height, width, prompts, *, several=True):
        self.calls.append((float(embedding[0][0]), height, width, [prompt.box[0] for prompt in prompts]))
        return [Candidates(np.full((3, height, width), p.box[0], np.float32), np.zeros(3, np.float32)) for p in prompts]


def prompts(*lefts: float) -> list[Prompt]:
    return [Prompt((float(left), 0.0, 9.0, 9.0), np.empty((0, 2)), np.empty(0, np.int64)) for left in lefts]


@pytest.fixture
def files(tmp_path):
    """Open files of whole images (numbered from 1) and of a crop (number 7)."""

    def write(name, ids, windows, first):
        path = tmp_path / name
        with EmbeddingWriter(path, ids, {}, windows=np.array(windows), shapes=[(2,)]) as writer:
            for index in range(len(ids)):
                writer.write(index, (np.full(2, first + index, np.float16),))
        return EmbeddingReader(path)

    whole = (0, 0, WIDTH, HEIGHT)
    with write("whole.h5", ["a", "b"], [whole, whole], 1) as embeddings, write("crops.h5", ["b"], [CROP], 7) as crops:
        yield embeddings, crops


@pytest.mark.parametrize(("image_id", "number"), [("a", 1), ("b", 2)])
def test_prompts_are_decoded_from_the_embedding_of_their_own_image(files, image_id, number):
    image = PromptedImage(Recording(), image_id, HEIGHT, WIDTH, *files)

    answers = list(image.candidates(image.whole, prompts(3, 1, 2)))

    assert image.segmenter.calls == [(number, HEIGHT, WIDTH, [3, 1, 2])]
    assert [answer.logits[0, 0, 0] for answer in answers] == [3, 1, 2]


def test_prompts_in_a_window_are_decoded_from_its_embedding_at_its_size(files):
    image = PromptedImage(Recording(), "b", HEIGHT, WIDTH, *files)

    (answer,) = image.candidates(CROP, prompts(5))

    assert image.segmenter.calls == [(7, 10, 10, [5])]
    assert answer.logits.shape == (3, 10, 10)


@pytest.mark.parametrize(("memory", "sizes"), [(1, [1] * 5), (2 * 12 * HEIGHT * WIDTH, [2, 2, 1]), (10**9, [5])])
def test_as_many_prompts_are_decoded_at_a_time_as_memory_allows(files, monkeypatch, memory, sizes):
    monkeypatch.setattr(segmentation_base, "CANDIDATE_MEMORY", memory)
    image = PromptedImage(Recording(), "a", HEIGHT, WIDTH, *files)

    answers = list(image.candidates(image.whole, prompts(*range(5))))

    assert [len(call[3]) for call in image.segmenter.calls] == sizes
    assert [answer.logits[0, 0, 0] for answer in answers] == list(range(5))


def test_prompts_are_decoded_when_their_answers_are_asked_for(files, monkeypatch):
    monkeypatch.setattr(segmentation_base, "CANDIDATE_MEMORY", 1)
    image = PromptedImage(Recording(), "a", HEIGHT, WIDTH, *files)

    answers = image.candidates(image.whole, prompts(1, 2, 3))
    assert image.segmenter.calls == []
    next(answers)

    assert len(image.segmenter.calls) == 1


def test_no_prompts_ask_the_model_nothing(files):
    image = PromptedImage(Recording(), "a", HEIGHT, WIDTH, *files)

    assert list(image.candidates(image.whole, [])) == []
    assert image.segmenter.calls == []


@pytest.mark.parametrize(
    ("image_id", "window", "message"),
    [
        ("c", (0, 0, WIDTH, HEIGHT), r"whole\.h5 has no embedding of c at \(0, 0, 50, 30\); delete it and run again"),
        ("a", CROP, r"crops\.h5 has no embedding of a at \(4, 6, 14, 16\)"),
        ("b", (5, 6, 15, 16), r"crops\.h5 has no embedding of b at \(5, 6, 15, 16\)"),
    ],
)
def test_a_window_without_an_embedding_is_named(files, image_id, window, message):
    with pytest.raises(DataError, match=message):
        list(PromptedImage(Recording(), image_id, HEIGHT, WIDTH, *files).candidates(window, prompts(1)))


def test_without_crops_the_step_that_makes_them_is_asked_for(files):
    with pytest.raises(DataError, match="no embeddings of crops of b; run rule embed_crops again"):
        list(PromptedImage(Recording(), "b", HEIGHT, WIDTH, files[0]).candidates(CROP, prompts(1)))


def test_the_area_of_the_object_is_that_of_its_mask_or_of_the_image(files):
    part = np.zeros((HEIGHT, WIDTH), bool)
    part[3:8, 10:20] = True

    assert PromptedImage(Recording(), "a", HEIGHT, WIDTH, *files, part).foreground_area == 50
    assert PromptedImage(Recording(), "a", HEIGHT, WIDTH, *files).foreground_area == HEIGHT * WIDTH
