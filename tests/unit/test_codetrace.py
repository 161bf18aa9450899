"""The files that a script runs are found by following its imports, and only those."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from paths import REPOSITORY
from zsad.features.registry import BACKBONES
from zsad.refinement.registry import MODULATIONS, REFINERS
from zsad.scoring.registry import SCORERS
from zsad.scoring.thresholds.registry import THRESHOLDS
from zsad.segmentation.registry import SEGMENTERS
from zsad.workflow.codetrace import code_hashes

SCRIPTS = sorted(path.name for path in (REPOSITORY / "workflow_scripts").glob("*.py"))
REGISTRIES = {
    "extract_features.py": [BACKBONES],
    "score_images.py": [SCORERS, THRESHOLDS],
    "embed_images.py": [SEGMENTERS],
    "segment_foreground.py": [SEGMENTERS],
    "embed_crops.py": [SEGMENTERS],
    "refine_masks.py": [REFINERS, SEGMENTERS],
    "modulate_scores.py": [MODULATIONS],
    "evaluate_oracle.py": [SEGMENTERS],
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    files = {
        "workflow_scripts/run.py": "from zsad.stage import work\n",
        "zsad/__init__.py": "",
        "zsad/stage.py": "def work():\n    from zsad.part import helper\n    return helper\n",
        "zsad/part/__init__.py": "import numpy\nimport zsad.part.registry\n",
        "zsad/part/helper.py": "",
        "zsad/part/helper.json": "{}",
        "zsad/part/other.py": "",
        "zsad/method.py": "import zsad.shared\n",
        "zsad/part/registry.py": "",
        "zsad/shared.py": "",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


def test_imports_are_followed_inside_functions_and_through_packages_with_data_files(project: Path) -> None:
    assert list(code_hashes(project, "workflow_scripts/run.py")) == [
        "workflow_scripts/run.py",
        "zsad/__init__.py",
        "zsad/part/__init__.py",
        "zsad/part/helper.json",
        "zsad/part/helper.py",
        "zsad/stage.py",
    ]


def test_modules_that_are_imported_by_name_are_given(project: Path) -> None:
    added = set(code_hashes(project, "workflow_scripts/run.py", ["zsad.method:Method"])) - set(
        code_hashes(project, "workflow_scripts/run.py")
    )
    assert added == {"zsad/method.py", "zsad/shared.py", "zsad.method:Method"}


def test_an_edit_changes_one_hash_whatever_its_modification_time_and_a_touch_none(project: Path) -> None:
    def hashes() -> dict[str, str]:
        code = (
            "import json, sys; from pathlib import Path; from zsad.workflow.codetrace import code_hashes; "
            "print(json.dumps(code_hashes(Path(sys.argv[1]), sys.argv[2])))"
        )
        arguments = [sys.executable, "-c", code, str(project), "workflow_scripts/run.py"]
        return json.loads(subprocess.run(arguments, capture_output=True, text=True, check=True, cwd=REPOSITORY).stdout)

    before = hashes()
    stage = project / "zsad/stage.py"
    os.utime(stage)
    assert hashes() == before
    stage.write_text(stage.read_text() + "# edited\n")
    os.utime(stage, (0, 0))
    after = hashes()
    assert {name for name in after if after[name] != before[name]} == {"zsad/stage.py"}


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_module_that_a_script_really_imports_is_tracked(script: str) -> None:
    """Import what the script imports, and its parts by name; compare with what Python then has loaded."""
    entries = [registry.entry(name) for registry in REGISTRIES.get(script, []) for name in registry.names()]
    code = (
        "import ast, importlib, sys\n"
        f"tree = ast.parse(open('workflow_scripts/{script}').read())\n"
        "for node in tree.body:\n"
        "    if isinstance(node, ast.ImportFrom): importlib.import_module(node.module)\n"
        f"for entry in {entries!r}: importlib.import_module(entry.split(':')[0])\n"
        "print('\\n'.join(m.__file__ for n, m in sys.modules.items() if n.split('.')[0] == 'zsad'))"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY
    ).stdout
    loaded = {Path(line).relative_to(REPOSITORY).as_posix() for line in output.split()}
    tables = ("/registry.py", "/catalogue.py")
    loaded -= {path for path in loaded if path.endswith(tables) and path != "zsad/registry.py"}
    assert loaded <= set(code_hashes(REPOSITORY, f"workflow_scripts/{script}", entries))


def test_a_method_does_not_depend_on_another_methods_module() -> None:
    for name in SCORERS.names():
        tracked = code_hashes(REPOSITORY, "workflow_scripts/score_images.py", [SCORERS.entry(name)])
        others = {f"zsad/scoring/{other}.py" for other in SCORERS.names() if other != name}
        assert not others & set(tracked)


def test_no_stage_imports_a_later_one() -> None:
    order = ["data", "models", "features", "scoring", "refinement", "evaluation", "tables", "reporting"]
    for rank, stage in enumerate(order):
        for path in sorted((REPOSITORY / "zsad" / stage).rglob("*.py")):
            for later in order[rank + 1 :]:
                assert f"zsad.{later}" not in path.read_text().replace("`zsad.", ""), f"{path} imports zsad.{later}"


def test_the_features_of_a_network_depend_on_all_that_is_behind_them_but_not_on_the_list_of_models() -> None:
    tracked = code_hashes(REPOSITORY, "workflow_scripts/extract_features.py", [BACKBONES.entry("transformers")])
    for part in ("features/network.py", "features/loading.py", "features/debias.py"):
        assert f"zsad/{part}" in tracked
    for part in ("attention.py", "families/clip.py", "conversion/timm.py"):
        assert f"zsad/models/{part}" in tracked
    assert "zsad/models/catalogue.py" not in tracked


def test_the_built_in_features_do_not_depend_on_networks() -> None:
    tracked = code_hashes(REPOSITORY, "workflow_scripts/extract_features.py", [BACKBONES.entry("embedded")])
    assert "zsad/features/loading.py" in tracked
    assert not [path for path in tracked if "network" in path or "families" in path or "hub" in path]
