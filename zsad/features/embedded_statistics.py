"""Mean and standard deviation of each kind of filter response; made by `zsad.features.calibration`."""

STATISTICS: dict[str, tuple[float, float]] = {
    "wavelet_0": (0.043763, 0.017286),
    "dog_rectified_0": (0.067277, 0.037853),
    "dog_signed_0": (0.0, 0.002618),
    "wavelet_1": (0.051946, 0.033415),
    "dog_rectified_1": (0.079191, 0.048656),
    "dog_signed_1": (0.0, 0.007157),
    "wavelet_2": (0.063406, 0.04475),
    "dog_rectified_2": (0.080261, 0.049586),
    "dog_signed_2": (0.0, 0.011107),
    "contrast_red_green": (0.089711, 0.034896),
    "contrast_blue_yellow": (0.080667, 0.031145),
    "mean_grey": (0.509994, 0.187157),
    "centre_surround_grey": (0.0, 0.040266),
    "mean_red_green": (0.00883, 0.062997),
    "centre_surround_red_green": (0.0, 0.009658),
    "mean_blue_yellow": (-0.001413, 0.052408),
    "centre_surround_blue_yellow": (0.0, 0.006846),
}
