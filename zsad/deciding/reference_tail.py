"""Reference tail: how high the tail of the references' patches extends in an image."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from zsad.deciding.background import fit_background
from zsad.deciding.base import Evidence, ReferenceRule, Verdicts, percentage
from zsad.deciding.conformal import Conformal, fewest_references

GOOD = 0.5  # all references are normal: the median over them at each rank


class ReferenceTail(ReferenceRule):
    """The value that the highest patch of a normal image exceeds with a chance of ``alpha``, from references.

    Few references have few peaks: one image of nine exceeds the highest of eight, with some samples of references one
    of three. But they have thousands of patches. As `peaks_over_threshold` does with a batch, at each rank of the
    sorted maps of the references, each scored as if it were none of them, the median over the references is taken, down
    to the share ``top`` of the patches; a tail is fitted to these quantiles and extrapolated to the chance ``alpha``;
    the levels of the references show how much whole images differ.

    The p-value is that chance. It is as good as the tail, and holds for no finite number of references as that of
    `conformal` does; but it varies less from one sample of references to the next. If the patches of the references do
    not differ, there is no tail, and `conformal` decides.
    """

    summary: ClassVar[str] = (
        "The value that the highest patch of a normal image exceeds with a small chance, by the references."
    )
    reference: ClassVar[str] = (
        "Peaks over threshold: Pickands, Annals of Statistics 1975; the fit to medians of order statistics over the "
        "references is this project's own."
    )

    alpha: float = Field(0.05, gt=0, lt=1, description="Share of normal images that may be called defective.")
    top: float = Field(0.1, gt=0, le=0.5, description="Share of an image's patches that the tail is fitted to.")
    shape: Literal["pareto", "exponential"] = Field(
        "exponential",
        description="pareto: the shape of the tail is fitted, also heavy or bounded; exponential: fixed shape.",
    )

    without_maps: ClassVar[str] = "let p-values against its references decide (rule: conformal)"

    @property
    def needs_maps(self) -> bool:
        """True: the rule uses patches."""
        return True

    def decide(self, evidence: Evidence) -> Verdicts:
        """One threshold for all images, with a p-value for each."""
        self.ordered_references(evidence)  # checks that there are enough
        background = fit_background(
            evidence.reference_maps, good=GOOD, presumed=0, top=self.top, curved=self.shape == "pareto", spread=True
        )
        if background is None:
            return Conformal(alpha=self.alpha, extent=self.extent).decide(evidence)
        region = background.exceeded_by(self.alpha)
        return Verdicts(
            evidence,
            region,
            self.reach(evidence.reference_maps, region),
            significance=background.chance(evidence.peaks),
            measure="p_value",
            nominal=self.alpha,
            remarks=self._remarks(len(evidence.reference_peaks)),
        )

    def _remarks(self, references: int) -> list[str]:
        """A remark if the references are too few for a share that holds in finite samples."""
        fewest = fewest_references(self.alpha)
        if references >= fewest:
            return []
        return [
            f"{references} references are too few for p-values that hold in finite samples at "
            f"{percentage(self.alpha)}, which {fewest} allow; the tail of their patches decides."
        ]
