"""What the scripts of jobs import before they work: each job waits for it, and most need no large library."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence

from paths import REPOSITORY

SCRIPTS = sorted(path.stem for path in (REPOSITORY / "workflow_scripts").glob("*.py"))

# In this order, each group may import what those before it may, and the libraries beside it. All others may none.
GROUPS: Mapping[str, tuple[Sequence[str], Sequence[str]]] = {
    "pictures": (("draw_confusion", "draw_plots", "draw_shots"), ("matplotlib",)),
    "tables": (
        ("build_page", "collect_classes", "collect_costs", "collect_tables", "draw_summary"),
        ("pandas", "jinja2"),
    ),
    "statistics": (("classify_images", "evaluate_classes"), ("scipy",)),
}
# What no script imports before it knows that it is needed.
LARGE = ("matplotlib", "pandas", "jinja2", "scipy", "sklearn", "torch", "transformers", "huggingface_hub", "tqdm")
ALWAYS = ("numpy", "cv2", "pydantic", "h5py")  # by all scripts together

LOAD = """
import json, sys
for modules, large in json.loads(sys.argv[1]):
    for name in modules:
        __import__(name)
    print(json.dumps([name for name in large if name in sys.modules]))
"""


def imported_by(script: str) -> list[str]:
    """The modules that a script names in its import statements."""
    tree = ast.parse((REPOSITORY / "workflow_scripts" / f"{script}.py").read_bytes())
    plain = [alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names]
    return plain + [str(node.module) for node in tree.body if isinstance(node, ast.ImportFrom)]


def test_scripts_import_large_libraries_only_where_they_need_them() -> None:
    grouped = {script for scripts, _ in GROUPS.values() for script in scripts}
    assert grouped < set(SCRIPTS)
    steps = [[script for script in SCRIPTS if script not in grouped], *(scripts for scripts, _ in GROUPS.values())]
    modules = [[name for script in scripts for name in imported_by(script)] for scripts in steps]
    asked = [[names, [*LARGE, *ALWAYS]] for names in modules]
    done = subprocess.run(
        [sys.executable, "-c", LOAD, json.dumps(asked)], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    found = [set(json.loads(line)) for line in done.stdout.splitlines()]
    allowed = set(ALWAYS)
    assert found[0] == allowed
    for (name, (_, libraries)), present in zip(GROUPS.items(), found[1:], strict=True):
        allowed.update(libraries)
        assert present == allowed, name  # a library that is no longer imported leaves the list, too
