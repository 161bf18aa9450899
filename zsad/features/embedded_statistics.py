"""Mean and standard deviation of each kind of filter response; made by ``benchmarks/calibration.py``."""

STATISTICS: dict[str, tuple[float, float]] = {
    "wavelet_0": (0.043385, 0.019801),
    "dog_rectified_0": (0.066827, 0.040763),
    "dog_signed_0": (0.0, 0.00291),
    "wavelet_1": (0.05154, 0.035528),
    "dog_rectified_1": (0.078676, 0.051398),
    "dog_signed_1": (0.0, 0.008069),
    "wavelet_2": (0.06321, 0.047517),
    "dog_rectified_2": (0.080167, 0.054031),
    "dog_signed_2": (0.0, 0.012644),
    "contrast_red_green": (0.089926, 0.041673),
    "contrast_blue_yellow": (0.080767, 0.038341),
    "mean_grey": (0.449055, 0.07173),
    "centre_surround_grey": (0.0, 0.045814),
    "mean_red_green": (0.014527, 0.075087),
    "centre_surround_red_green": (0.0, 0.010614),
    "mean_blue_yellow": (-0.00523, 0.065133),
    "centre_surround_blue_yellow": (0.0, 0.007836),
}
