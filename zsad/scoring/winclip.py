"""WinCLIP: an image, and its windows, are anomalous if they are more similar to sentences about a damaged object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from zsad.scoring.base import ImageScore, Shown
from zsad.scoring.class_embeddings import STATES
from zsad.scoring.compute import Compute
from zsad.scoring.cost import TokenCount, pair_operations
from zsad.scoring.score_by_texts import score_by_texts
from zsad.scoring.text_scorer import TextScorer
from zsad.scoring.windows import Scales, window_refusal

if TYPE_CHECKING:
    from zsad.scoring.token_source import TokenSource


class WinClip(TextScorer):
    """Score windows of an image, and the whole image, by their similarity to sentences about a damaged object.

    With ``t_0`` and ``t_1`` the mean embeddings of the sentences about a normal and about an anomalous object, a vector
    ``v`` of the same model has the score

        ``s(v) = softmax(cos(v, t_0) / temperature, cos(v, t_1) / temperature)_1``.

    The image score ``s_0`` is that of the vector of the whole image. For each scale, a patch has the harmonic mean
    ``m`` of ``s`` of all windows that cover it, and the map is the harmonic mean of ``s_0`` and of the scales,

        ``S(p) = (1 + n) / (1 / s_0 + 1 / m_1(p) + ... + 1 / m_n(p))``.

    A mean is 0 if one of its scores is 0, as the published code sets NaN to 0.

    There is no official code. ``averaging: raw`` with the prompts ``winclip_21`` corresponds to anomalib and
    zqhang/Accurate-WinCLIP-pytorch, ``normalised`` with ``winclip`` (all 22 templates of the paper) and
    ``temperature: 0.01`` to mala-lab/WinCLIP.
    """

    reads_windows: ClassVar[bool] = True
    summary: ClassVar[str] = (
        "Windows of an image, and the whole image, against sentences about an intact and a damaged object."
    )
    reference: ClassVar[str] = "WinCLIP: Jeong et al., CVPR 2023 (arXiv 2303.14814), sections 4.1 and 4.2."
    blind_to: ClassVar[str] = (
        "a defect that sentences about a damaged object do not describe, such as a component that is missing or in a "
        "wrong place, and one that is small within the smallest window; its outlines are as coarse as the windows"
    )

    scales: Scales = None

    def refusal(self, images: Mapping[str, Shown], *, scores_references: bool = False) -> str:
        """A sentence if the features lack windows or the wanted scales, or if an image is smaller than a window."""
        return super().refusal(images) or window_refusal(images["test"], self.scales)

    def operations(self, tokens: Mapping[str, TokenCount]) -> float:
        """Operations for two cosines of each window."""
        test = tokens["test"]
        cosines = len(STATES) * float(test.images) * test.patches * test.layers
        return super().operations(tokens) + pair_operations(cosines, test.channels, finding=0)

    def score(self, features: Mapping[str, TokenSource], compute: Compute) -> Iterator[ImageScore]:
        """Yield ``S`` and ``s_0`` of each image, in order."""
        self.check(features)
        test = features["test"]
        classes = self.classes(self.texts_of(test), compute.device)
        for index in range(len(test)):
            score, anomaly_map = score_by_texts(test, index, classes, self.scales, self.temperature)
            yield ImageScore(index, anomaly_map.astype(np.float32), image_score=score)
