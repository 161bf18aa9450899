"""Coupling flow: a patch is anomalous if it is improbable under a learned density of normal patches."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from zsad.adaptation.position import POSITION_WIDTH
from zsad.lazy import torch
from zsad.scoring.base import Shown
from zsad.scoring.compute import Compute
from zsad.scoring.whitened import FittedWhitened, WhitenedScorer

if TYPE_CHECKING:
    from zsad.adaptation.coupling import CouplingNetwork
    from zsad.files.fitted import FittedReader

FEWEST_DIMENSIONS = 2  # that a coupling can split
BESIDE_PRODUCTS = 40  # operations for each value that is activated, moved, or taken an exponential of


class CouplingFlow(WhitenedScorer):
    """Score each patch by its negative log-likelihood under a normalising flow trained on normal patches.

    With ``x`` a whitened patch of ``d`` coordinates, see `zsad.scoring.whitened`, ``c`` its position and
    ``z = f(x; c)``
    by affine couplings, see `zsad.adaptation.coupling.CouplingNetwork`,

        ``-log p(x | c) = |z|^2 / 2 + (d / 2) log(2 pi) - log|det dz/dx|``,

    exactly, in nats; training minimises its mean over normal patches. By ``measure``,

    - ``likelihood``: ``-log p(x | c)``, about ``1.4 d`` or less for normal patches. It may be negative; greater is more
      anomalous, in one unit for all images.
    - ``latent``: ``|z|^2 / 2``, as in the maps of FastFlow (arXiv 2111.07677): it ignores the density of normal
    patches.

    An untrained network is the standard normal density, so that training starts at the likelihood of one Gaussian with
    the mean and covariance of normal patches, and held-out references prevent a worse result.

    Departures. CFLOW-AD has a flow for each of three layers of a WideResNet, on raw tokens, divides likelihoods by the
    greatest of all test images, and scores by the difference of their sum over the layers from its maximum; here the
    layers stand side by side, are whitened on ``dimensions`` axes, and no image changes the score of another. Its
    networks have a hidden layer of twice the width of their input, here of ``width``. It trains for 25 times 8 epochs
    with Adam at 2e-4, and its code keeps the epoch that is best according to the masks of the test images; here
    ``steps`` are fixed, and held-out references determine when to stop. The position is that of
    `zsad.adaptation.position`, and off by default. In training, normal noise of the standard deviation ``noise`` is
    added to each coordinate: without it the likelihood grows without bound where normal patches do not vary, e.g. in a
    constant channel, and the rounding of tokens to float16 would look anomalous there. Everything is computed in
    float32.
    """

    summary: ClassVar[str] = "A patch's likelihood under a normalising flow that is trained on normal reference images."
    reference: ClassVar[str] = "CFLOW-AD: Gudovskiy et al., WACV 2022, arXiv 2107.12571; on whitened tokens."
    blind_to: ClassVar[str] = (
        "a normal component in a wrong place unless 'position' is on, and a defect that differs only along axes on "
        "which normal patches vary much, or that are left out"
    )
    work: ClassVar[str] = "learning the density"

    dimensions: int = Field(
        128,
        ge=FEWEST_DIMENSIONS,
        description="Number of principal axes for the whitening of tokens; all if there are no more.",
    )
    measure: Literal["likelihood", "latent"] = Field(
        "likelihood", description="The score: -log p of a patch, or half the square of its latent vector alone."
    )
    blocks: int = Field(8, ge=1, description="Couplings, one after the other.")
    width: int = Field(256, ge=1, description="Width of the hidden layer of each coupling.")
    noise: float = Field(
        0.1,
        ge=0,
        description="Standard deviation of noise added to whitened patches, which have 1, in training.",
    )

    def fit_refusal(self, references: Shown, scored: Shown) -> str:
        """A sentence if there is a single dimension, or that of `WhitenedScorer.fit_refusal`."""
        if references.layers is not None and references.channels * self._layer_count(references.layers) == 1:
            return (
                "a coupling flow needs at least 2 channels, since one half of them changes the other, but there is 1; "
                "name more 'layers', or use 'mahalanobis'"
            )
        return super().fit_refusal(references, scored)

    def restore(self, reader: FittedReader, compute: Compute) -> FittedWhitened:
        """The model learned from the references."""
        model = super().restore(reader, compute)
        if not model.network.reorders:
            raise reader.foreign("its couplings have no valid orders of the dimensions")
        return model

    def network(self, dimensions: int, position: int) -> CouplingNetwork:
        """A new network, whose density is the standard normal one."""
        from zsad.adaptation.coupling import CouplingNetwork, CouplingSizes

        return CouplingNetwork(CouplingSizes(dimensions, position, self.blocks, self.width), self.seed)

    def loss(
        self, network: CouplingNetwork, tokens: torch.Tensor, position: torch.Tensor | None, rng: torch.Generator
    ) -> torch.Tensor:
        """The mean of ``-log p`` of tokens with noise, in nats a dimension."""
        if self.noise:
            noise = torch.randn(tokens.shape, generator=rng).to(tokens.device)
            tokens = torch.add(tokens, noise, alpha=self.noise)
        return -network.log_likelihood(tokens, position).mean() / tokens.shape[1]

    def token_scores(
        self, network: CouplingNetwork, tokens: torch.Tensor, position: torch.Tensor | None
    ) -> torch.Tensor:
        """Scores of tokens by ``measure``."""
        if self.measure == "latent":
            latents: torch.Tensor = network(tokens, position)[0]
            return latents.square().sum(dim=1) / 2
        return -network.log_likelihood(tokens, position)

    def token_bytes(self, dimensions: int) -> int:
        """Bytes of the hidden layer of a coupling, the scales of all couplings, and some copies of the coordinates."""
        return 4 * (2 * self.width + (self.blocks // 2 + 6) * dimensions)

    def token_operations(self, dimensions: int) -> tuple[float, float]:
        """Operations of three passes through the couplings, two of them backwards, in training; and of one pass."""
        read = dimensions / 2 + (POSITION_WIDTH if self.position else 0)
        products = 2.0 * self.width * (read + dimensions)
        once = self.blocks * (products + BESIDE_PRODUCTS * (self.width + 2.0 * dimensions))
        return 3 * once, once
