"""The layouts by name: one line each."""

from zsad.data.layouts.base import Layout
from zsad.registry import Registry

LAYOUTS: Registry[Layout] = Registry(
    "data set layout",
    {
        "demo": "zsad.data.layouts.mvtec:MvtecLayout",
        "mvtec": "zsad.data.layouts.mvtec:MvtecLayout",
    },
)
