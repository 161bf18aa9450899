"""The models that a configuration uses: by the name of an entry, a published name, a hub id, a folder or file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zsad.errors import ConfigError, nearest_hint
from zsad.features.joint import JOINT, Member, check_different, member_references
from zsad.features.registry import BACKBONES, completed, find_family, model_names
from zsad.segmentation.catalogue import MODELS, facts_of
from zsad.segmentation.registry import SEGMENTERS
from zsad.workflow.entries import BackboneEntry, SegmenterEntry
from zsad.workflow.schema import Config
from zsad.workflow.sections import ConfiguredModel

TORCH_SUFFIXES = (".pth", ".pt")


class Models:
    """The backbones and segmenters that methods and refiners have requested so far.

    Attributes:
        backbones, segmenters: by name.
    """

    def __init__(self, config: Config) -> None:
        self.backbones: dict[str, BackboneEntry] = {}
        self.segmenters: dict[str, SegmenterEntry] = {}
        self._backbone, self._segmenter = config.backbone, config.segmenter
        self._configured_backbones = _given(config.backbones)
        self._configured_segmenters = _given(config.segmenters)

    def backbone(self, reference: str | list[str] | None, where: str) -> str:
        """Add a backbone, a joint backbone, or a list of backbones; return its name.

        Args:
            reference: as configured; None for the general one.
            where: the place in the configuration, e.g. ``"methods.mutual"``, for messages.

        Raises:
            ConfigError: the backbone does not exist, its parameters are wrong, or its name is used twice.
        """
        reference = reference or self._backbone
        if not isinstance(reference, str):
            name = "-".join(map(_slug, member_references({"members": reference}, where)))
            return self._joint(name, {"members": reference}, where)
        if params := self._joint_params(reference):
            return self._joint(reference, params, f"backbones.{reference}.params")
        return self._single(reference, where)

    def segmenter(self, reference: str | None, where: str) -> str:
        """Add a segmenter; return its name. See `backbone`."""
        reference = reference or self._segmenter
        if reference in self._configured_segmenters:
            name, (family, params) = reference, self._configured_segmenters[reference]
        elif facts := facts_of(reference):
            name, family, params = _slug(facts.name), facts.family, {"model": facts.name}
        elif "/" in reference or Path(reference).exists():
            family = "segment_anything" if Path(reference).suffix in TORCH_SUFFIXES else "transformers"
            name, params = _slug(reference), {"model": reference}
        else:
            hint = nearest_hint(reference, [*self._configured_segmenters, *MODELS])
            raise ConfigError(
                f"{where}: segmenter '{reference}' is neither an entry of 'segmenters', nor a model of "
                f"`zsad segmenters`, nor a hub id (owner/name), nor a folder or file that exists{hint}"
            )
        segmenter = SEGMENTERS.build(family, params, where=f"segmenters.{name}.params")
        entry = SegmenterEntry(name=name, family=family, params=segmenter.parameters())
        if self.segmenters.setdefault(name, entry) != entry:
            raise ConfigError(f"two segmenters would both be called '{name}'; give them names under 'segmenters'")
        return name

    def _joint(self, name: str, params: Mapping[str, Any], where: str) -> str:
        """Add a joint backbone after its members; return its name."""
        references = member_references(params, where)
        for reference in references:
            if self._joint_params(reference):
                raise ConfigError(f"{where}: '{reference}' is a joint itself; name its members instead")
        entries = [self.backbones[self._single(reference, where)] for reference in references]
        members = [Member(name=entry.name, **entry.stage_config()) for entry in entries]
        check_different(members, where)
        joint = BACKBONES.build(JOINT, {**params, "members": members}, where=where)
        return self._entered(BackboneEntry(name, JOINT, joint.parameters(), tuple(entries)))

    def _joint_params(self, reference: str) -> dict[str, Any] | None:
        """The parameters of a joint in ``backbones``, as configured; None for any other name."""
        family, params = self._configured_backbones.get(reference, ("", {}))
        return {"members": None, **params} if family == JOINT else None

    def _single(self, reference: str, where: str) -> str:
        """Add a backbone that is not a joint; return its name."""
        if reference in self._configured_backbones:
            name, (family, params) = reference, self._configured_backbones[reference]
        elif found := find_family(reference):
            name, (family, params) = _slug(reference), found
        else:
            hint = nearest_hint(reference, [*self._configured_backbones, *model_names()])
            raise ConfigError(
                f"{where}: backbone '{reference}' is neither an entry of 'backbones', nor a model of `zsad backbones`, "
                f"nor a hub id (owner/name), nor a folder or file that exists{hint}"
            )
        backbone = BACKBONES.build(family, completed(family, params), where=f"backbones.{name}.params")
        return self._entered(BackboneEntry(name=name, family=family, params=backbone.parameters()))

    def _entered(self, entry: BackboneEntry) -> str:
        if self.backbones.setdefault(entry.name, entry) != entry:
            raise ConfigError(f"two backbones would both be called '{entry.name}'; give them names under 'backbones'")
        return entry.name


def _given(models: Mapping[str, ConfiguredModel | None]) -> dict[str, tuple[str, dict[str, Any]]]:
    """Family and parameters by name, without the entries that are switched off."""
    return {name: (model.family, model.params) for name, model in models.items() if model is not None}


def _slug(reference: str) -> str:
    """A file name for a hub id (owner and name), or a folder or file (its last part)."""
    text = Path(reference).resolve().name if Path(reference).exists() else reference
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-") or "backbone"
