"""Flow: a patch is anomalous if it does not move as good patches do on their way from noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from zsad.adaptation.pairing import CHUNK, MAXIMISED, Pairing, paired
from zsad.adaptation.training import generator
from zsad.lazy import torch
from zsad.scoring.velocity_scores import VELOCITY_SCORES, Asked, Averaging, Measure, VelocityScore, drawn_noise
from zsad.scoring.whitened import WhitenedScorer

if TYPE_CHECKING:
    from zsad.adaptation.velocity import Velocity

BESIDE_PRODUCTS = 60  # operations for each value of a layer that is normalised, activated and added
PAIRED = 2500  # operations for each pair of tokens that an assignment chooses from


class Flow(WhitenedScorer):
    """Score each patch by a velocity field that carries noise to the patches of good images.

    With ``x_1`` a whitened patch of a reference, see `zsad.scoring.whitened`, ``x_0`` noise ``N(0, I)`` and ``t`` even
    in 0...1, the network ``v`` learns the velocity of the straight path ``x_t = (1 - t) x_0 + t x_1``,

        ``min E |v(x_t, t) - (x_1 - x_0)|^2``.

    ``pairing`` says which ``x_0`` of a mini-batch goes with which ``x_1``: any; that of the shortest ways in all; or,
    after Li et al. (worst transport), that of the longest. By ``measure``, with ``x`` the patch that is scored,

    - ``mismatch``: ``sum_t t^2 |v(x_t, t) - (x - x_0)|^2 / sum_t t^2`` at ten times from 0.1 to 0.95, a mean or median
      over draws of ``x_0`` (Flow Mismatching, arXiv 2605.23070);
    - ``contraction``: ``|v(x, 1) + x|`` of a network that learned ``v(x, t) = -x`` (TCCM, arXiv 2510.18328);
    - ``endpoint``: ``|z|^2`` of the noise ``z`` that ``euler_steps`` steps lead back to; for exact velocities of
      independent pairs and short steps, of good patches a chi-square variable of ``d`` degrees;
    - ``velocity``: ``|v(x, 1)|``.

    Departures. None of these papers works on whitened tokens, one by one; networks, training and further details could
    not be read. Li et al. go from tokens to noise in time, the same paths seen backwards. The network adds what it
    learns to the exact velocity of a normal distribution, see `zsad.adaptation.velocity.Velocity`, but for
    ``contraction``. All patches are compared with the same noise, of which every second draw is the opposite of the one
    before: ``mismatch`` then differs between patches by what they are and not by their noise. Times of a batch are
    spread evenly. A step of ``endpoint`` takes the velocity in the middle of its time, see
    `zsad.scoring.velocity_scores.endpoint`. Everything is computed in float32.
    """

    summary: ClassVar[str] = "A patch against a flow that carries noise to the patches of good reference images."
    reference: ClassVar[str] = (
        "Flow Mismatching: Chen et al., arXiv 2605.23070; worst transport: Li et al., arXiv 2508.05461; contraction: "
        "TCCM, arXiv 2510.18328; on whitened tokens this project's own."
    )
    blind_to: ClassVar[str] = (
        "a sound part in a wrong place unless 'position' is on, and a defect that differs only along axes on which "
        "good patches vary much, or that are left out"
    )
    work: ClassVar[str] = "learning the flow"

    pairing: Pairing = Field(
        "independent",
        description="Noise of a token in training: any, that of the shortest or longest ways; none of 'contraction'.",
    )
    measure: Measure = Field("mismatch", description="What of the velocity is the score.")
    draws: int = Field(2, ge=1, description="Draws of noise that 'mismatch' looks from.")
    averaging: Averaging = Field("mean", description="Of the draws of 'mismatch'.")
    euler_steps: int = Field(1, ge=1, description="Steps of 'endpoint' back to noise, e.g. 1, 4 or 10.")
    width: int = Field(256, ge=1, description="Width of the network.")
    blocks: int = Field(2, ge=1, description="Residual blocks of the network.")

    @property
    def _asked(self) -> VelocityScore:
        return VELOCITY_SCORES[self.measure]

    def network(self, dimensions: int, position: int) -> Velocity:
        """A velocity that is zero but for what it carries."""
        from zsad.adaptation.velocity import Velocity

        return Velocity(dimensions, position, self.width, self.blocks, carries=not self._asked.contracts)

    def loss(
        self, network: Velocity, tokens: torch.Tensor, position: torch.Tensor | None, draws: torch.Generator
    ) -> torch.Tensor:
        """The regression of the velocity on pairs of tokens and noise."""
        from zsad.adaptation.velocity import contraction_loss, even_times, transport_loss

        times = even_times(len(tokens), draws).to(tokens.device)
        if self._asked.contracts:
            return contraction_loss(network, tokens, times, position)
        noise = torch.randn(tokens.shape, generator=draws).to(tokens.device)
        return transport_loss(network, tokens, paired(tokens, noise, self.pairing), times, position)

    def token_scores(self, network: Velocity, tokens: torch.Tensor, position: torch.Tensor | None) -> torch.Tensor:
        """What ``measure`` says of tokens."""
        noise = drawn_noise(self.draws, tokens.shape[1], generator(self.seed, "noise")).to(tokens.device)
        return self._asked.of(network, tokens, position, Asked(noise, self.averaging, self.euler_steps))

    def token_bytes(self, dimensions: int) -> int:
        """Its layers side by side, and its coordinates."""
        return 4 * (6 * self.width + 6 * dimensions)

    def token_operations(self, dimensions: int) -> tuple[float, float]:
        """Three passes through the network, of which two are backwards; and as many as the measure asks for."""
        blocks = self.blocks * self.width * (4.0 * self.width + BESIDE_PRODUCTS)
        once = blocks + self.width * (4.0 * dimensions + BESIDE_PRODUCTS)
        pairs = PAIRED * CHUNK if self.pairing in MAXIMISED else 0
        return 3 * once + pairs, self._asked.passes(self.draws, self.euler_steps) * once
