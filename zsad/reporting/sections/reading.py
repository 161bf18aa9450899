"""How to read the page: the meaning of settings, thresholds and metrics."""

from __future__ import annotations

from zsad.deciding.batch_verdict import LEVEL, in_percent
from zsad.names import MEAN, ORACLE
from zsad.reporting.contents import Contents, Section
from zsad.reporting.sections import training, words
from zsad.reporting.sections.heading import hand_crafted
from zsad.reporting.settings_in_words import setting_meaning


def section(contents: Contents) -> Section:
    """Explanations of the terms on this page."""
    refined = contents.refinement[contents.refinement["category"] == MEAN]
    content = {
        "level": in_percent(LEVEL),
        "settings": {key.setting: setting_meaning(key.setting) for key in contents.names},
        "trained_on": words.trained_on(contents.results),
        "trained": bool(training.trained_methods(contents)),
        "trained_here_on": training.trained_here_on(contents.results),
        "hand_crafted": hand_crafted(contents.backbones, contents.configuration),
        "any_auspro": contents.metrics["auspro_005"].notna().any(),
        "classifies": bool(contents.classes.evaluations),
        "refined": (refined["method"] != ORACLE).any(),
    }
    return Section("reading.html.jinja", content, "reading", "How to read this page")
