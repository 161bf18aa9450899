"""The BTAD layout (Mishra et al., ISIE 2021), which calls good images ``ok`` and defective ones ``ko``.

::

    <01|02|03>/train/ok/0000.bmp
    <01|02|03>/test/ok/*
    <01|02|03>/test/ko/0000.bmp
    <01|02|03>/ground_truth/ko/0000.png

Images are ``.bmp`` in 01 and 03 and ``.png`` in 02; masks are ``.png`` in 01 and 02 and ``.bmp`` in 03
(open-edge-platform/anomalib, pull request 162). So a mask is found by its stem, whatever its suffix. Defects have no
types.
"""

from __future__ import annotations

from typing import ClassVar

from zsad.data.layouts.mvtec import MvtecLayout


class BtadLayout(MvtecLayout):
    """MVTec AD's folders with ``ok`` for good and the one defect type ``ko``."""

    summary: ClassVar[str] = "BTAD: train/ok, test/ok, test/ko, ground_truth/ko"
    title: ClassVar[str] = "BTAD"
    good_folder: ClassVar[str] = "ok"
