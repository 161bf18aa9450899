"""The classifiers, by name."""

from __future__ import annotations

from zsad.classification.base import Classifier
from zsad.registry import Registry

CLASSIFIERS: Registry[Classifier] = Registry(
    "classifier",
    {
        "nearest_exemplar": "zsad.classification.nearest_exemplar:NearestExemplar",
        "prototype": "zsad.classification.prototype:Prototype",
        "cache": "zsad.classification.cache:Cache",
        "ridge": "zsad.classification.ridge:Ridge",
    },
)
