"""Encode sentences about an object, for methods with text prompts: with the code of the workflow, but without a run."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from zsad.errors import ArrayError, ConfigError
from zsad.features.base import Backbone
from zsad.features.execution import Execution
from zsad.features.registry import BACKBONES, IMAGE_TEXT, completed
from zsad.files.texts import TextReader, TextWriter, check_texts
from zsad.interactive.parts import backbone_named, mapping
from zsad.scoring.base import Scorer
from zsad.scoring.registry import SCORERS
from zsad.scoring.token_source import Texts, TokenSource
from zsad.texts.encode_texts import encode_texts as encode_to_file
from zsad.texts.part_names import checked_name

HOW = 'zsad.encode_texts("clip-vitl14-336", "printed circuit board")'


class MemoryTexts:
    """Sentences about an object and their embeddings, in memory; the argument ``texts`` of `score` and `fit`.

    Args:
        sentences: the sentences; for learned prompts, a description of each.
        states: for each sentence, 0 for a normal object and 1 for an anomalous one; both must occur.
        embeddings: ``[sentence, channel]`` from a text tower, of any length.
        patch_part: the channels, from the first to before the last, that patches are compared with; None for all.
        provenance: their origin; ``"part_name"`` and ``"prompts"`` describe the prompts.
        path: their name in messages.

    Raises:
        ArrayError: the arguments do not fit together.
    """

    def __init__(
        self,
        sentences: Sequence[str],
        states: ArrayLike,
        embeddings: ArrayLike,
        *,
        patch_part: tuple[int, int] | None = None,
        provenance: Mapping[str, Any] | None = None,
        path: str | Path = "texts in memory",
    ) -> None:
        self.path = Path(path)
        self.sentences = list(map(str, sentences))
        self.states: np.ndarray = np.asarray(states, np.int8)
        self.embeddings: np.ndarray = np.asarray(embeddings, np.float32)
        self.patch_part = patch_part or (0, self.embeddings.shape[-1])
        self.provenance = dict(provenance or {})
        try:
            check_texts(self.sentences, self.states, self.embeddings, self.patch_part)
        except ValueError as error:
            raise ArrayError(
                f"{path} cannot be used: {error}; give one or more sentences of each state, and a vector for each"
            ) from None

    def __len__(self) -> int:
        return len(self.sentences)


def encode_texts(
    backbone: str | Backbone,
    part_name: str,
    prompts: str | Path = "winclip",
    *,
    params: Mapping[str, Any] | None = None,
    trained_on: str | None = None,
    category: str = "",
    device: str = "auto",
) -> MemoryTexts:
    """Encode sentences about an object: some describe it as normal, others as anomalous.

    Args:
        backbone: an image-text model, such as ``"clip-vitl14-336"``, a hub id or a path; or a backbone itself.
        part_name: the name of the object, e.g. ``"printed circuit board"``.
        prompts: the set of sentences: ``"winclip"`` or another one that ``zsad prompts`` lists, a YAML file, or
            AnomalyCLIP's file of learned tokens, ``.pth``.
        params: parameters of the backbone that texts depend on, e.g. ``{"tokenizer": "folder"}``.
        trained_on: for learned tokens, the name of the data set that they were trained on.
        category: a name for the inspected objects, stored with the texts.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.

    Returns:
        The argument ``texts`` of `score` and `fit`.

    Raises:
        ConfigError: there is no such backbone or set of prompts, the backbone cannot encode texts, the name is empty,
            or a sentence is too long for the model.
        ModelError: the weights or the tokenizer are missing or damaged.
    """
    name = _part_name(part_name)
    asked = _with_texts(backbone, params)
    with tempfile.TemporaryDirectory(prefix="zsad-") as folder:
        output = Path(folder, "texts.h5")
        encode_to_file(
            category=category,
            part_name=name,
            prompts=str(prompts),
            trained_on=trained_on,
            backbone=asked,
            execution=Execution(device),
            output=output,
            provenance={},
        )
        return _read(output, Path("texts in memory"))


def _part_name(part_name: object) -> str:
    if not isinstance(part_name, str):
        raise ConfigError(f"part_name = {part_name!r} is not valid: it must be text, such as 'printed circuit board'")
    try:
        return checked_name(part_name)
    except ValueError as error:
        raise ConfigError(f"part_name = {part_name!r} is not valid: {error}") from None


def read_texts(path: str | Path) -> MemoryTexts:
    """Read a file of texts, ``results/<name>/<category>/texts/...h5``, completely.

    Raises:
        DataError: the file is missing, damaged or of another type.
    """
    return _read(Path(path), Path(path))


def written_texts(texts: Texts, path: Path) -> Path:
    """Write texts to a file; return its path."""
    with TextWriter(
        path,
        texts.provenance,
        sentences=texts.sentences,
        states=texts.states.tolist(),
        embeddings=texts.embeddings,
        patch_part=texts.patch_part,
    ):
        pass
    return path


def params_asked(scorer: str | Scorer, params: Mapping[str, Any] | None, texts: object) -> Mapping[str, Any] | None:
    """The parameters of a scorer, with those of the texts: their prompts, and the training data of learned ones.

    They show what data a model has seen.
    """
    if not isinstance(scorer, str) or scorer not in SCORERS.names() or not SCORERS.load(scorer).text_role:
        return params
    provenance = getattr(texts, "provenance", None)
    prompts = provenance.get("prompts") if isinstance(provenance, Mapping) else None
    if not isinstance(prompts, Mapping) or not prompts.get("name"):
        return params
    told = {"text_prompts": prompts["name"]}
    if "sha256" in prompts:
        told["trained_on"] = prompts["trained_on"]
    return {**told, **mapping(params, "params")}


def with_texts(scorer: Scorer, sources: Mapping[str, TokenSource], texts: Texts | None) -> dict[str, TokenSource]:
    """Tokens by role, with the texts added to the role for which the scorer needs them.

    Args:
        texts: None if the tokens have them already, or for a scorer without texts.

    Raises:
        ArrayError: the scorer needs texts and there are none, or it uses none and some are given.
    """
    check_texts_given(scorer, texts)
    role = scorer.text_role
    if not role or role not in sources:
        return dict(sources)
    source = sources[role]
    if texts is None:
        if source.texts is None:
            raise ArrayError(needs_texts(scorer))
        return dict(sources)
    asked: Any = copy.copy(source)  # the given one stays unchanged
    asked.texts = texts
    return {**sources, role: asked}


def check_texts_given(scorer: Scorer, texts: object) -> None:
    """Refuse objects that are not texts, and texts for a scorer that does not use them.

    Raises:
        ArrayError: see above.
    """
    if texts is None:
        return
    if not scorer.text_role:
        raise ArrayError(f"{type(scorer).__name__} uses no texts; leave them out")
    if not (hasattr(texts, "embeddings") and hasattr(texts, "sentences")):
        raise ArrayError(
            f"the texts are a {type(texts).__name__}; give the result of zsad.encode_texts or zsad.read_texts"
        )


def needs_texts(scorer: Scorer) -> str:
    """The message for a scorer without its texts."""
    return f"{type(scorer).__name__} needs text prompts; give texts={HOW}, encoded by the model that sees the images"


def _with_texts(backbone: str | Backbone, params: Mapping[str, Any] | None) -> Backbone:
    """A backbone that encodes texts, if there is one of this name: most names stand for models with only patches."""
    if not isinstance(backbone, str) or backbone in BACKBONES.names():
        return backbone_named(backbone, params)
    known = BACKBONES.load(IMAGE_TEXT).params_of(backbone)
    if known is None:  # unknown to all families
        return backbone_named(backbone, params)
    chosen = {**known, **mapping(params, "params")}
    found = BACKBONES.build(IMAGE_TEXT, completed(IMAGE_TEXT, chosen), where=f"backbone '{backbone}'")
    found.check_model()  # before it is downloaded
    return found


def _read(path: Path, called: Path) -> MemoryTexts:
    with TextReader(path) as reader:
        return MemoryTexts(
            reader.sentences,
            reader.states,
            reader.embeddings,
            patch_part=reader.patch_part,
            provenance=reader.provenance,
            path=called,
        )
