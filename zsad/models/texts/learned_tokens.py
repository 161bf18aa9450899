"""AnomalyCLIP's learned tokens (Zhou et al., ICLR 2024, section 3.2), as its authors publish them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from zsad.models.texts.published_files import PublishedFile, read_published, size_of

if TYPE_CHECKING:
    from torch import Tensor

KIND = "file of AnomalyCLIP's learned tokens"
OUTER = "prompt_learner"
DEEP = "compound_prompts_text.{}"
# The files also contain maps that the authors' code never uses, and values of CLIP itself.
KNOWN = (
    r"ctx_(pos|neg)|compound_prompts_text\.\d+|compound_prompt_projections\.\d+\.(weight|bias)"
    r"|token_(prefix|suffix)_(pos|neg)|tokenized_prompts_(pos|neg)"
)


class LearnedTokens(NamedTuple):
    """Learned tokens in place of words.

    Attributes:
        normal, anomalous: float32 ``[token, channel]``, after the start of each sentence, before its words.
        deep: float32 ``[block, token, channel]``: before the text block ``2 + i`` (counted from 1), ``deep[i]``
            replaces the first tokens after the start.
        normal_words, anomalous_words: the words after the learned tokens.
    """

    normal: Tensor
    anomalous: Tensor
    deep: Tensor
    normal_words: str = "object."
    anomalous_words: str = "damaged object."

    @property
    def descriptions(self) -> list[str]:
        """Descriptions of the normal and of the anomalous sentence, for users."""
        sentences = ((self.normal, self.normal_words), (self.anomalous, self.anomalous_words))
        return [f"[{len(tokens)} learned tokens] {words}" for tokens, words in sentences]


def read_learned_tokens(path: str | Path) -> LearnedTokens:
    """Read tokens from a file of AnomalyCLIP's authors, ``{"prompt_learner": state dict}``.

    ``ctx_pos`` and ``ctx_neg`` are ``[1, 1, token, channel]``, ``compound_prompts_text.0``, ``.1``, ... are ``[token,
    channel]``; their numbers are those of the file. The latter are rounded to half precision, which the authors' code
    does with them in each block.

    Raises:
        ModelError: the file does not exist, is damaged, is of another kind, or contains more than tensors.
    """
    file = read_published(Path(path), KIND, OUTER, KNOWN)
    normal, anomalous = (_sentence(file, key) for key in ("ctx_pos", "ctx_neg"))
    deep = file.stacked(DEEP)
    if deep.ndim != 3:
        raise file.refuse(f"has {size_of(deep[0])} values in '{DEEP.format(0)}' instead of tokens times channels")
    widths = {"ctx_pos": normal.shape[1], "ctx_neg": anomalous.shape[1], DEEP.format(0): deep.shape[2]}
    for key, width in widths.items():
        if width != widths["ctx_pos"]:
            raise file.refuse(
                f"has tokens of {widths['ctx_pos']} channels in 'ctx_pos' and of {width} in '{key}'; they must agree"
            )
    rounded = deep.half().float()
    if not rounded.isfinite().all():
        raise file.refuse(f"has values in '{DEEP.format('*')}' too large for half precision; download it again")
    return LearnedTokens(normal, anomalous, rounded)


def _sentence(file: PublishedFile, key: str) -> Tensor:
    """The tokens of a state, ``[token, channel]``."""
    tokens = file.floats(key)
    if tokens.ndim != 4 or tokens.shape[:2] != (1, 1):
        raise file.refuse(
            f"has {size_of(tokens)} values in '{key}' instead of one sentence (1 x 1 x tokens x channels)"
        )
    return tokens[0, 0]
