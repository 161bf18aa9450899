"""Base cost of a job: the interpreter and the libraries that it imports.

Measured with the versions of ``requirements.txt`` on Linux; memory includes shared pages of libraries, as Snakemake and
schedulers count it.
"""

from __future__ import annotations

from zsad.resources.estimate import Estimate

PLAIN = Estimate(90, 0.4)  # NumPy, OpenCV, h5py
STATISTICS = Estimate(110, 0.7)  # and SciPy
PICTURES = Estimate(100, 0.6)  # and Matplotlib's colours
PLOTS = Estimate(115, 1.0)  # and Matplotlib
PANDAS_MEGABYTES, PANDAS_SECONDS = 35, 0.2  # in addition to any of these
TORCH = Estimate(270, 1.5)
SCIKIT_LEARN = Estimate(120, 1.7)  # in addition to torch
TRANSFORMERS = Estimate(420, 4.5)
CUDA = Estimate(3000, 10.0)  # a GPU's context and kernels, in the memory of the host
