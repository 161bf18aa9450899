"""AnomalyCLIP's learned tokens (Zhou et al., ICLR 2024, section 3.2), as its authors publish them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor


class LearnedTokens(NamedTuple):
    """Tokens that take the place of words.

    Attributes:
        normal, anomalous: float32 ``[token, channel]``, behind the start of either sentence, before its words.
        deep: float32 ``[block, token, channel]``: before the text block ``2 + i`` (counted from 1), ``deep[i]`` takes
            the place of the first tokens behind the start.
        normal_words, anomalous_words: what follows the learned tokens, ``"object ."`` and ``"damaged object ."``.
    """

    normal: Tensor
    anomalous: Tensor
    deep: Tensor
    normal_words: str = "object."
    anomalous_words: str = "damaged object."
