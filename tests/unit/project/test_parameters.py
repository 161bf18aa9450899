"""Defaults and bounds of all parameters: tables that were made by them would be others if one slipped."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from zsad.classification.embeddings import EmbeddingOptions
from zsad.classification.options import ConformalOptions, ProbabilityOptions
from zsad.classification.registry import CLASSIFIERS
from zsad.deciding.registry import THRESHOLDS
from zsad.errors import ConfigError
from zsad.evaluation.options import EvaluationOptions
from zsad.refinement.crops import CropOptions
from zsad.refinement.registry import MODULATIONS, REFINERS
from zsad.registry import Options
from zsad.scoring.compute import ScoringOptions
from zsad.scoring.image_level import ImageScoring
from zsad.scoring.registry import FUSIONS, SCORERS

# Whose, which, default, bounds: a square bracket takes the bound in.
TABLE = """
self_similarity k None [1,)
self_similarity fraction 0.02 (0,1]
self_similarity exclusion_radius 2 [0,)
self_similarity foreground None
self_similarity layers None
mirror_symmetry symmetries ('horizontal','vertical','half_turn')
mirror_symmetry window 1 [0,)
mirror_symmetry max_shift 0.25 [0,0.5]
mirror_symmetry max_tilt 10.0 [0,45]
mirror_symmetry gate 0.2 (0,1]
mirror_symmetry tie_break True
mirror_symmetry layers None
flip_consistency layers None
tile_distribution tile 9 [1,)
tile_distribution sigma_s 1.0 [0,)
tile_distribution sigma_p 3.0 (0,)
tile_distribution layers None
mutual interval (0.0,0.3)
mutual neighbourhoods (1,3,5)
mutual aggregation unit
mutual distance euclidean
mutual rescoring (1,2,3)
mutual class_tokens unit
mutual batch None [2,)
mutual seed 0 [0,)
mutual layers None
mutual online False
mutual_consistent interval (0.0,0.3)
mutual_consistent neighbourhoods (1,3,5)
mutual_consistent aggregation unit
mutual_consistent distance euclidean
mutual_consistent rescoring (1,2,3)
mutual_consistent class_tokens unit
mutual_consistent batch None [2,)
mutual_consistent seed 0 [0,)
mutual_consistent layers None
mutual_consistent false_alarms 0.1 (0,1]
batch_neighbours quantile 0.001 (0,1]
batch_neighbours foreground None
batch_neighbours layers None
memory_bank shots 1
memory_bank seed 0 [0,)
memory_bank draw random
memory_bank k 1 [1,)
memory_bank rotations True
memory_bank coreset None (0,1]
memory_bank window None [0,)
memory_bank foreground None
memory_bank layers None
patchcore shots all
patchcore seed 0 [0,)
patchcore draw random
patchcore coreset 0.1 (0,1]
patchcore selection greedy
patchcore selection_seed 0 [0,)
patchcore distance euclidean
patchcore image_score reweighted
patchcore neighbours 9 [1,)
patchcore layers None
subspace shots 1
subspace seed 0 [0,)
subspace draw random
subspace explained_variance 0.99 (0,1]
subspace rotations True
subspace layers None
mahalanobis shots 1
mahalanobis seed 0 [0,)
mahalanobis draw random
mahalanobis per_position False
mahalanobis regularisation 0.01 [1e-06,)
mahalanobis channels None [1,)
mahalanobis channel_seed 0 [0,)
mahalanobis rotations False
mahalanobis layers None
padim shots all
padim seed 0 [0,)
padim draw random
padim channels None [1,)
padim channel_seed 1024 [0,)
padim regularisation 0.01 [1e-06,)
padim layers None
gmm shots all
gmm seed 0 [0,)
gmm draw random
gmm pooling patches
gmm dimensions 16 [1,)
gmm components 1 [1,)
gmm covariance full
gmm reg_covar 0.01 [0,)
gmm layers None
class_token_knn shots 1
class_token_knn seed 0 [0,)
class_token_knn draw random
class_token_knn k 1 [1,)
class_token_knn rotations False
class_token_knn layers None
flow shots all
flow seed 0 [0,)
flow draw random
flow dimensions 128 [1,)
flow position False
flow rotations False
flow hold_out 0.1 [0,1)
flow steps 1000 [1,)
flow batch 1024 [1,)
flow rate 0.001 (0,1]
flow layers None
flow pairing independent
flow measure mismatch
flow draws 2 [1,)
flow averaging mean
flow euler_steps 1 [1,)
flow width 256 [1,)
flow blocks 2 [1,)
coupling_flow shots all
coupling_flow seed 0 [0,)
coupling_flow draw random
coupling_flow dimensions 128 [2,)
coupling_flow position False
coupling_flow rotations False
coupling_flow hold_out 0.1 [0,1)
coupling_flow steps 1000 [1,)
coupling_flow batch 1024 [1,)
coupling_flow rate 0.001 (0,1]
coupling_flow layers None
coupling_flow measure likelihood
coupling_flow blocks 8 [1,)
coupling_flow width 256 [1,)
coupling_flow noise 0.1 [0,)
visual_prompts weights None
visual_prompts trained_on None
visual_prompts epochs 15 [1,)
visual_prompts batch 8 [1,)
visual_prompts rate 0.001 (0,1]
visual_prompts temperature 0.07 (0,)
visual_prompts normal_patches 64 [1,)
visual_prompts seed 0 [0,)
visual_prompts layers None
prompt_memory weights None
prompt_memory trained_on None
prompt_memory keys regions
prompt_memory entries 8192 [2,)
prompt_memory anomalous_share 0.5 (0,1)
prompt_memory temperature 1.0 (0,)
prompt_memory image_weight 0.7 [0,1]
prompt_memory seed 0 [0,)
prompt_memory layers None
residual_prompts weights None
residual_prompts trained_on None
residual_prompts shots 4
residual_prompts seed 0 [0,)
residual_prompts draw random
residual_prompts learns_from synthetic
residual_prompts input residual
residual_prompts combine harmonic
residual_prompts steps 100 [1,)
residual_prompts rate 0.001 (0,1]
residual_prompts synthetic_images 40 [1,)
residual_prompts recipes ('cutpaste','scar','perlin','normal_patch')
residual_prompts layers None
text_similarity text_prompts winclip
text_similarity trained_on None
text_similarity averaging normalised
text_similarity temperature 0.07 (0,)
text_similarity image_from class_token
text_similarity linear_layers None
text_similarity layers None
winclip text_prompts winclip
winclip trained_on None
winclip averaging raw
winclip temperature 0.07 (0,)
winclip scales None
winclip_plus text_prompts winclip
winclip_plus trained_on None
winclip_plus averaging raw
winclip_plus temperature 0.07 (0,)
winclip_plus shots 1
winclip_plus seed 0 [0,)
winclip_plus draw random
winclip_plus combine sum
winclip_plus scales None
fusion methods required
fusion weights None
fusion scale robust_z
fusion combine mean
suitable extent 0.7 [0,1]
suitable alpha None (0,1)
conformal extent 0.7 [0,1]
conformal alpha 0.1 (0,1)
conformal too_few smallest
conformal over_batch none
robust_tail extent 0.7 [0,1]
robust_tail z 5.0 (0,)
peaks_over_threshold extent 0.7 [0,1]
peaks_over_threshold alpha 0.1 (0,1)
peaks_over_threshold good 0.25 (0,0.5]
peaks_over_threshold top 0.1 (0,0.5]
peaks_over_threshold shape pareto
peaks_over_threshold spread True
a_contrario extent 0.7 [0,1]
a_contrario false_alarms 0.1 (0,)
a_contrario defective 0.05 (0,0.5)
mebin extent 0.7 [0,1]
mebin levels 64 [2,)
mebin min_interval 4 [1,)
mebin min_patches 2 [1,)
reference_tail extent 0.7 [0,1]
reference_tail alpha 0.05 (0,1)
reference_tail top 0.1 (0,0.5]
reference_tail shape exponential
reference_quantile extent 0.7 [0,1]
reference_quantile quantile 0.995 (0,1]
reference_quantile factor 1.0 (0,)
fixed extent 0.7 [0,1]
fixed image None
fixed pixel None
mixture extent 0.7 [0,1]
mixture evidence 6.0 [0,)
largest_gap extent 0.7 [0,1]
largest_gap level 0.05 (0,1)
largest_gap good 0.2 [0,1)
share extent 0.7 [0,1]
share share required [0,1]
expected_share extent 0.7 [0,1]
expected_share share required [0,1]
expected_share tolerance 0.1 [0,1]
expected_share cut gap
subsample_maxima extent 0.7 [0,1]
subsample_maxima alpha 0.1 (0,1)
subsample_maxima quantile 0.25 (0,0.5]
subsample_maxima smallest 0.01 (0,1)
subsample_maxima shape pareto
self_calibration extent 0.7 [0,1]
self_calibration alpha 0.1 (0,1)
self_calibration trusted 0.9 (0.5,1)
self_calibration shape pareto
guided min_area 0.0001 [0,1)
guided min_area_ratio 0.1 [0,1]
guided max_area_ratio 4.0 [1,)
guided min_contrast_ratio 0.75 [0,)
guided min_edge_ratio 1.25 [0,)
guided radius 0.0625 (0,0.5]
guided eps 0.0001 (0,)
grabcut min_area 0.0001 [0,1)
grabcut min_area_ratio 0.1 [0,1]
grabcut max_area_ratio 4.0 [1,)
grabcut min_contrast_ratio 0.75 [0,)
grabcut min_edge_ratio 1.25 [0,)
grabcut margin 0.0625 (0,0.5]
grabcut sure_foreground 0.75 [0,1]
grabcut sure_background 0.5 [0,1]
grabcut max_pixels 65536 [1024,4194304]
grabcut iterations 5 [1,50]
sam box_margin 0.0078125 [0,0.5]
sam positive_points 1 [0,3]
sam negative_points 2 [0,16]
sam surroundings 0.125 (0,0.5]
sam mask_prompt True
sam min_area 0.0001 [0,1)
sam min_area_ratio 0.02 [0,1]
sam max_area_ratio 4.0 [1,)
sam min_contrast_ratio 0.75 [0,)
sam min_edge_ratio 0.85 [0,)
sam consensus 0.5 [0,1]
sam min_smoothness 0.75 [0,1]
sam max_part_share 0.5 (0,1]
sam foreground True
sam max_prompts 10 [1,1000]
sam crops None
modulation method required
modulation refiner required
modulation strength 0.5 [0,1]
modulation side 256 (0,)
nearest_exemplar centre none
prototype centre none
cache centre none
cache beta 32.0 (0,1000000.0]
cache temperature 0.11 [1e-06,)
ridge centre none
ridge penalty 0.1 [1e-09,)
probabilities temperature 1.0 (0,)
probabilities calibrated none
conformal_sets sets split
conformal_sets alpha 0.1 (0,1)
conformal_sets thresholds kind
conformal_sets by score
conformal_sets folds 5 [2,)
crops below 0.0625 (0,1]
crops context 4.0 [1,)
crops least 0.125 (0,1]
evaluation protocol native
evaluation smoothing 0.0 [0,100]
evaluation truth nearest
evaluation grid centres
evaluation aupro exact
evaluation aupimo steps
evaluation bootstrap 1000 [0,1000000]
evaluation seed 0 [0,)
evaluation memory_mb 1000 [50,)
scoring memory_mb 1000 [16,)
scoring precision auto
image aggregate top_mean
image fraction 0.01 (0,1]
image rounding up
image smoothing 0.0 [0,)
image patch_pixels 1 [1,64]
image pixel_smoothing 0.0 [0,100]
embedding kind image
embedding layers None
"""


def parts() -> Iterator[tuple[str, type[Options]]]:
    for registry in (SCORERS, FUSIONS, THRESHOLDS, REFINERS, MODULATIONS, CLASSIFIERS):
        for name in registry.names():
            yield name, registry.load(name)
    yield from (("probabilities", ProbabilityOptions), ("conformal_sets", ConformalOptions))
    yield from (("crops", CropOptions), ("evaluation", EvaluationOptions))
    yield from (("scoring", ScoringOptions), ("image", ImageScoring), ("embedding", EmbeddingOptions))


def lines() -> Iterator[str]:
    for name, part in parts():
        for field, info in part.model_fields.items():
            limits = {kind: getattr(one, kind) for one in info.metadata for kind in LIMITS if hasattr(one, kind)}
            low = f"[{limits['ge']}" if "ge" in limits else f"({limits.get('gt', '')}"
            high = f"{limits['le']}]" if "le" in limits else f"{limits.get('lt', '')})"
            default = "required" if info.is_required() else str(info.default).replace(" ", "")
            yield f"{name} {field} {default} {low},{high}".replace(" (,)", "")


LIMITS = ("ge", "gt", "le", "lt")
EXPECTED = [" ".join(line.split()) for line in TABLE.strip().splitlines()]


def test_defaults_and_bounds_are_those_of_the_table() -> None:
    assert list(lines()) == EXPECTED


@pytest.mark.parametrize(
    ("draws", "is_enough"), [(-1, False), (0, True), (1, False), (39, False), (40, True), (10**6 + 1, False)]
)
def test_draws_are_none_or_enough_for_a_percentile(draws: int, is_enough: bool) -> None:
    if is_enough:
        assert EvaluationOptions(bootstrap=draws).bootstrap == draws
    else:
        with pytest.raises(ConfigError, match="bootstrap"):
            EvaluationOptions.build({"bootstrap": draws}, where="evaluation")
