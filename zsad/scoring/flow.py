"""Flow: a patch is anomalous if it does not move as normal patches do on their way from noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from zsad.adaptation.pairing import CHUNK, MAXIMISED, Pairing, pair_noise
from zsad.adaptation.training import generator
from zsad.lazy import torch
from zsad.scoring.velocity_scores import (
    VELOCITY_SCORES,
    Averaging,
    Measure,
    VelocityOptions,
    VelocityScore,
    sample_noise,
)
from zsad.scoring.whitened import WhitenedScorer

if TYPE_CHECKING:
    from zsad.adaptation.velocity import Velocity

BESIDE_PRODUCTS = 60  # operations for each value of a layer that is normalised, activated and added
PAIRED = 2500  # operations for each pair of tokens that an assignment chooses from


class Flow(WhitenedScorer):
    """Score each patch by a velocity field that carries noise to the patches of normal images.

    With ``x_1`` a whitened patch of a reference, see `zsad.scoring.whitened`, ``x_0`` noise ``N(0, I)`` and ``t`` even
    in 0...1, the network ``v`` learns the velocity of the straight path ``x_t = (1 - t) x_0 + t x_1``,

        ``min E |v(x_t, t) - (x_1 - x_0)|^2``.

    ``pairing`` determines the ``x_0`` of each ``x_1`` in a mini-batch: a random one; the pairing of the shortest total
    path; or, as in Li et al. (worst transport), of the longest. By ``measure``, with ``x`` the patch that is scored,

    - ``mismatch``: ``sum_t t^2 |v(x_t, t) - (x - x_0)|^2 / sum_t t^2`` at ten times from 0.1 to 0.95, a mean or median
      over samples of ``x_0`` (Flow Mismatching, arXiv 2605.23070);
    - ``contraction``: ``|v(x, 1) + x|`` of a network that learned ``v(x, t) = -x`` (TCCM, arXiv 2510.18328);
    - ``endpoint``: ``|z|^2`` of the noise ``z`` that ``euler_steps`` steps lead back to; for exact velocities of
      independent pairs and short steps, a chi-square variable of ``d`` degrees for normal patches;
    - ``velocity``: ``|v(x, 1)|``.

    Departures. None of these papers uses single whitened tokens; networks, training and further details were not
    available. Li et al. go from tokens to noise in time, the same paths backwards. The network adds a learned term to
    the exact velocity of a normal distribution, see `zsad.adaptation.velocity.Velocity`, except for ``contraction``.
    All patches are compared with the same noise, and every second noise vector is the opposite of the one before:
    differences of ``mismatch`` between patches then do not depend on their noise. Times of a batch are spread evenly. A
    step of ``endpoint`` uses the velocity in the middle of its time, see `zsad.scoring.velocity_scores.endpoint`.
    Everything is computed in float32.
    """

    summary: ClassVar[str] = "A patch against a flow that carries noise to the patches of normal reference images."
    reference: ClassVar[str] = (
        "Flow Mismatching: Chen et al., arXiv 2605.23070; worst transport: Li et al., arXiv 2508.05461; contraction: "
        "TCCM, arXiv 2510.18328; on whitened tokens this project's own."
    )
    blind_to: ClassVar[str] = (
        "a normal component in a wrong place unless 'position' is on, and a defect that differs only along axes on "
        "which normal patches vary much, or that are left out"
    )
    work: ClassVar[str] = "learning the flow"

    pairing: Pairing = Field(
        "independent",
        description="Pairing of tokens with noise in training: independent, or by the shortest or longest paths; not "
        "used by 'contraction'.",
    )
    measure: Measure = Field("mismatch", description="Score computed from the velocity.")
    draws: int = Field(2, ge=1, description="Number of noise samples of 'mismatch'.")
    averaging: Averaging = Field("mean", description="How the noise samples of 'mismatch' are averaged.")
    euler_steps: int = Field(1, ge=1, description="Steps of 'endpoint' back to noise, e.g. 1, 4 or 10.")
    width: int = Field(256, ge=1, description="Width of the network.")
    blocks: int = Field(2, ge=1, description="Residual blocks of the network.")

    @property
    def _asked(self) -> VelocityScore:
        return VELOCITY_SCORES[self.measure]

    def network(self, dimensions: int, position: int) -> Velocity:
        """A new network, whose learned term is zero."""
        from zsad.adaptation.velocity import Velocity

        return Velocity(dimensions, position, self.width, self.blocks, carries=not self._asked.contracts)

    def loss(
        self, network: Velocity, tokens: torch.Tensor, position: torch.Tensor | None, draws: torch.Generator
    ) -> torch.Tensor:
        """The regression loss of the velocity on pairs of tokens and noise."""
        from zsad.adaptation.velocity import contraction_loss, even_times, transport_loss

        times = even_times(len(tokens), draws).to(tokens.device)
        if self._asked.contracts:
            return contraction_loss(network, tokens, times, position)
        noise = torch.randn(tokens.shape, generator=draws).to(tokens.device)
        return transport_loss(network, tokens, pair_noise(tokens, noise, self.pairing), times, position)

    def token_scores(self, network: Velocity, tokens: torch.Tensor, position: torch.Tensor | None) -> torch.Tensor:
        """Scores of tokens by ``measure``."""
        noise = sample_noise(self.draws, tokens.shape[1], generator(self.seed, "noise")).to(tokens.device)
        return self._asked.of(network, tokens, position, VelocityOptions(noise, self.averaging, self.euler_steps))

    def token_bytes(self, dimensions: int) -> int:
        """Bytes of all layers and of the coordinates."""
        return 4 * (6 * self.width + 6 * dimensions)

    def token_operations(self, dimensions: int) -> tuple[float, float]:
        """Operations of three passes through the network in training, two of them backwards; and for the measure."""
        blocks = self.blocks * self.width * (4.0 * self.width + BESIDE_PRODUCTS)
        once = blocks + self.width * (4.0 * dimensions + BESIDE_PRODUCTS)
        pairs = PAIRED * CHUNK if self.pairing in MAXIMISED else 0
        return 3 * once + pairs, self._asked.passes(self.draws, self.euler_steps) * once
