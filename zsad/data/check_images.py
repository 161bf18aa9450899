"""The stage that checks a category's images before anything expensive is computed from them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any

from zsad.data.catalogue import DatasetFacts
from zsad.data.inspection import inspect_category
from zsad.data.inspection_table import category_text
from zsad.data.layouts.base import Layout
from zsad.data.subsets import Refusals, no_refusals
from zsad.errors import DataError, one_sentence
from zsad.files.json_files import write_json

logger = logging.getLogger(__name__)


def check_images(
    layout: Layout,
    root: Path,
    category: str,
    output: Path,
    provenance: Mapping[str, Any],
    facts: DatasetFacts | None = None,
    package: str = "",
    left_out: Mapping[Path, str] = MappingProxyType({}),
    refusals: Refusals = no_refusals,
) -> None:
    """Write the findings from the headers and masks of a category; log them as a table.

    Args:
        root: folder of the categories.
        output: JSON of an `Inspection`.
        provenance: stored in the output.
        facts: of the published data set, to compare with.
        package: name and version of the package that holds the images; empty without a package.
        left_out: the unreadable images that the manifest leaves out, with the reason for each.
        refusals: reasons why the other images cannot be used, a sentence each; they would stop a run.

    Raises:
        DataError: a problem would stop the run; no output is written.
    """
    inspection = inspect_category(
        layout, root, category, facts=facts, package=package, left_out=left_out, refusals=refusals
    )
    for line in category_text(inspection).splitlines():
        logger.info("%s", line)
    if inspection.problems:
        raise DataError(one_sentence(inspection.problems))
    write_json(output, {**asdict(inspection), "provenance": dict(provenance)})
