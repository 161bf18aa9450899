"""What an edit makes anew: a script's imports are followed, but for what cannot change a result."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path

import pytest

from paths import REPOSITORY
from zsad.data.layouts.registry import LAYOUTS
from zsad.deciding.registry import THRESHOLDS
from zsad.features.registry import BACKBONES
from zsad.refinement.registry import MODULATIONS, REFINERS
from zsad.registry import Registry
from zsad.scoring.registry import FUSIONS, SCORERS
from zsad.segmentation.registry import SEGMENTERS
from zsad.sharing.content_key import content_key
from zsad.workflow import codetrace
from zsad.workflow.codetrace import EXEMPT, code_hashes, is_exempt
from zsad.workflow.revisions import REVISIONS

SCRIPTS = sorted(path.stem for path in (REPOSITORY / "workflow_scripts").glob("*.py"))
# What a script imports by name: one of each.
REGISTRIES: Mapping[str, list[Registry]] = {
    "read_images": [LAYOUTS],
    "read_training": [LAYOUTS],
    "build_manifest": [LAYOUTS],
    "check_images": [LAYOUTS],
    "extract_features": [BACKBONES],
    "join_features": [BACKBONES],
    "train_method": [SCORERS],
    "fit_method": [SCORERS],
    "score_images": [SCORERS],
    "decide_images": [THRESHOLDS],
    "fuse_scores": [FUSIONS],
    "encode_texts": [BACKBONES],
    "embed_images": [SEGMENTERS],
    "segment_foreground": [SEGMENTERS],
    "embed_crops": [SEGMENTERS],
    "refine_masks": [REFINERS, SEGMENTERS],
    "modulate_scores": [MODULATIONS],
    "evaluate_oracle": [SEGMENTERS],
}
NUMERICAL = {"numpy", "scipy", "torch", "torchvision", "cv2", "skimage", "sklearn", "transformers", "h5py", "PIL"}
# Exempt modules that import such a library all the same, and what for.
NO_NUMERICS = {
    "zsad/workflow/job.py": "tells cv2 its number of threads",
    "zsad/models/memory.py": "knows torch's errors, and empties its caches",
    "zsad/models/config_sense.py": "knows torch's errors, and counts what is built",
}
READS_IMAGES = {"read_images", "read_training", "build_manifest", "check_images"}
LISTED = {"extract_features", "embed_images", "embed_crops", "segment_foreground", "refine_masks"}
SEES = {"extract_features", "join_features", "encode_texts"}
SCORES = {"fit_method", "score_images"}
LEARNS = {*SCORES, "train_method"}
DECIDES = {"decide_images", "adopt_decisions"}
EVALUATES = {"evaluate_scores", "evaluate_masks", "evaluate_oracle"}


def entries_of(script: str) -> list[str]:
    """All parts that a script may import by name."""
    return [registry.entry(name) for registry in REGISTRIES.get(script, []) for name in registry.names()]


def hashes_of(script: str, root: Path = REPOSITORY, entries: list[str] | None = None, **bumped: int) -> dict[str, str]:
    chosen = entries_of(script) if entries is None else entries
    return code_hashes(root, f"workflow_scripts/{script}.py", chosen, revisions={**REVISIONS, **bumped})


def stages_behind(module: str) -> set[str]:
    """The stages that an edit of a module makes anew."""
    assert (REPOSITORY / module).is_file()
    return {script for script in SCRIPTS if module in hashes_of(script)}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    files = {
        "workflow_scripts/run.py": "from zsad.stage import work\n",
        "zsad/__init__.py": '"""A package."""\n',
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
        write(tmp_path / name, content)
    return tmp_path


def write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def traced(project: Path, *entries: str) -> set[str]:
    hashes = code_hashes(project, "workflow_scripts/run.py", entries, revisions={"run": 1})
    assert hashes.pop("revision") == "1"
    return set(hashes)


def test_imports_are_followed_inside_functions_and_through_packages_with_data_files(project: Path) -> None:
    assert traced(project) == {
        "workflow_scripts/run.py",
        "zsad/part/__init__.py",
        "zsad/part/helper.json",
        "zsad/part/helper.py",
        "zsad/stage.py",
    }


def test_modules_that_are_imported_by_name_are_given(project: Path) -> None:
    added = traced(project, "zsad.method:Method") - traced(project)
    assert added == {"zsad/method.py", "zsad/shared.py", "zsad.method:Method"}


@pytest.mark.parametrize(
    ("source", "is_run"),
    [
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import zsad.shared\n", False),
        ("import typing\nif typing.TYPE_CHECKING:\n    from zsad import shared\n", False),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import os\nelse:\n    import zsad.shared\n", True),
        ("import os\nif os.environ:\n    import zsad.shared\n", True),
        ("try:\n    import zsad.shared\nexcept ImportError:\n    pass\n", True),
        ("match 1:\n    case 1:\n        import zsad.shared\n", True),
    ],
)
def test_what_type_checkers_alone_import_is_not_followed(project: Path, source: str, is_run: bool) -> None:
    write(project / "zsad/part/helper.py", source)
    assert ("zsad/shared.py" in traced(project)) == is_run


def test_a_package_counts_once_it_has_code_of_its_own(project: Path) -> None:
    for name, code in {"bare": "", "coded": "\nVERSION = 1\n"}.items():
        write(project / f"zsad/part/{name}/__init__.py", f'"""A package."""\n{code}')
        write(project / f"zsad/part/{name}/most.py", "")
    write(project / "zsad/part/helper.py", "import zsad.part.bare.most\nimport zsad.part.coded.most\n")
    added = {"zsad/part/bare/most.py", "zsad/part/coded/most.py", "zsad/part/coded/__init__.py"}
    assert added <= traced(project)
    assert "zsad/part/bare/__init__.py" not in traced(project)


def test_the_names_that_the_package_offers_to_notebooks_concern_no_stage(project: Path) -> None:
    write(project / "zsad/__init__.py", "import zsad.shared\n\ndef __getattr__(name):\n    import zsad.method\n")
    assert not {"zsad/__init__.py", "zsad/shared.py", "zsad/method.py"} & traced(project)
    for module in ("metrics/pixels", "interactive/reading", "interactive/fitting"):
        assert stages_behind(f"zsad/{module}.py") == set()


@pytest.mark.parametrize("exempt", ["zsad/errors/words.py", "zsad/progress.py"])
def test_an_exempt_module_is_not_followed(project: Path, exempt: str) -> None:
    write(project / "zsad/stage.py", f"import {exempt.removesuffix('.py').replace('/', '.')}\n")
    write(project / exempt, "import zsad.shared\n")
    assert traced(project) == {"workflow_scripts/run.py", "zsad/stage.py"}


def test_an_edit_changes_one_hash_whatever_its_modification_time_and_a_touch_none(project: Path) -> None:
    def hashes() -> dict[str, str]:
        code = (
            "import json, sys; from pathlib import Path; from zsad.workflow.codetrace import code_hashes; "
            "print(json.dumps(code_hashes(Path(sys.argv[1]), sys.argv[2], revisions={'run': 1})))"
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


def test_every_script_has_a_revision_which_makes_its_stage_anew_and_no_other() -> None:
    assert sorted(REVISIONS) == SCRIPTS
    before = {script: hashes_of(script) for script in SCRIPTS}
    for script, other in pairwise([*SCRIPTS, SCRIPTS[0]]):
        raised = {script: REVISIONS[script] + 1}
        assert hashes_of(script, **raised) != before[script]
        assert hashes_of(other, **raised) == before[other]


def test_every_exempt_module_is_there_and_says_why() -> None:
    for place, reason in EXEMPT.items():
        path = REPOSITORY / place
        assert path.is_dir() if place.endswith("/") else path.is_file(), place
        assert len(reason.split()) >= 4, place


def test_no_exempt_module_computes() -> None:
    found = set()
    for path in sorted((REPOSITORY / "zsad").rglob("*.py")):
        place = path.relative_to(REPOSITORY)
        libraries = {name.split(".")[0] for name in imported_names(path)} & NUMERICAL
        if is_exempt(place) and libraries:
            assert place.as_posix() in NO_NUMERICS, f"{place} is exempt and imports {', '.join(libraries)}"
            found.add(place.as_posix())
    assert found == set(NO_NUMERICS)


def imported_names(path: Path) -> list[str]:
    """The modules that a module may import when it runs, and the libraries that it gets by `zsad.lazy`."""
    names = []
    for node in codetrace._statements(ast.parse(path.read_bytes())):  # those that may run
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append(str(node.module))
            names += [alias.name for alias in node.names if node.module == "zsad.lazy"]
    return names


RECORD = """
import ast, builtins, importlib, json, sys
import_, edges = builtins.__import__, []

def recorded(name, globals=None, locals=None, fromlist=(), level=0):
    module = import_(name, globals, locals, fromlist, level)
    if name.split(".")[0] == "zsad":
        found = [name, *(f"{name}.{part}" for part in fromlist or ())]
        edges.append(((globals or {}).get("__name__"), [each for each in found if each in sys.modules]))
    return module

builtins.__import__ = recorded
for name in json.loads(sys.argv[1]):
    importlib.import_module(name)
files = {name: module.__file__ for name, module in sys.modules.items() if name.split(".")[0] == "zsad"}
print(json.dumps([edges, files]))
"""


@pytest.fixture(scope="module")
def real_imports() -> tuple[Mapping[str, set[str]], Mapping[str, Path]]:
    """Which modules import which when all that scripts import is really imported, and their files."""
    wanted = {name for script in SCRIPTS for name in roots_of(script)}
    arguments = [sys.executable, "-c", RECORD, json.dumps(sorted(wanted))]
    output = subprocess.run(arguments, capture_output=True, text=True, check=True, cwd=REPOSITORY).stdout
    edges, files = json.loads(output)
    graph: dict[str, set[str]] = {}
    for importer, names in edges:
        graph.setdefault(importer, set()).update(names)
    return graph, {name: Path(file).relative_to(REPOSITORY) for name, file in files.items()}


def roots_of(script: str) -> list[str]:
    """The modules that a script imports, and all that it may import by name."""
    tree = ast.parse((REPOSITORY / "workflow_scripts" / f"{script}.py").read_bytes())
    named = [str(node.module) for node in tree.body if isinstance(node, ast.ImportFrom)]
    return [name for name in named if name.startswith("zsad.")] + [
        entry.partition(":")[0] for entry in entries_of(script)
    ]


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_module_that_a_script_really_imports_is_traced_or_exempt(
    real_imports: tuple[Mapping[str, set[str]], Mapping[str, Path]], script: str
) -> None:
    graph, files = real_imports
    reached: set[str] = set()
    waiting = roots_of(script)
    while waiting:
        name = waiting.pop()
        if name in reached or name not in files or is_exempt(files[name]) or is_table(files[name]):
            continue
        reached.add(name)
        waiting += [*graph.get(name, ()), name.rpartition(".")[0]]
    assert len(reached) > 3
    with_code = {files[name] for name in reached if not codetrace._is_empty(str(REPOSITORY), files[name].as_posix())}
    assert {path.as_posix() for path in with_code} <= set(hashes_of(script))


def is_table(path: Path) -> bool:
    return path.name in codetrace.TABLES and path.parent.as_posix() != "zsad"


# Edits of a copy of the library that are no reason to compute anything anew.
NEUTRAL: Mapping[str, Callable[[str], str]] = {
    "zsad/__init__.py": lambda text: text + "\nfrom zsad.interactive import reading\n",
    "zsad/workflow/gpus.py": lambda text: text + "\n# A remark.\n",
    "zsad/workflow/job.py": lambda text: text.replace('logger.info("done")', 'logger.info("finished")'),
    "zsad/models/hub.py": lambda text: text.replace("is gated", "needs its licence accepted"),
    "zsad/segmentation/weights.py": lambda text: text.replace("leave it out", "remove it from"),
    "zsad/errors/__init__.py": lambda text: text.replace("choose from", "remove one of"),
    "zsad/errors/boundary.py": lambda text: text + "\n# A remark.\n",
    "zsad/progress.py": lambda text: text.replace("s left", "s to go"),
    "zsad/files/download.py": lambda text: text + "\n# A remark.\n",
    "zsad/files/provenance.py": lambda text: text.replace('"pillow-heif",\n', '"pillow-heif",\n    "tqdm",\n'),
    "zsad/sharing/files.py": lambda text: text.replace("reused from the shared cache", "found in the shared cache"),
    "zsad/registry.py": lambda text: text.replace("there is no {self.kind}", "nobody knows a {self.kind}"),
    "zsad/workflow/suitability.py": lambda text: text.replace("add some", "add more"),
    "zsad/models/config_sense.py": lambda text: text + "\n# A remark.\n",
    "zsad/data/impostors.py": lambda text: text.replace("is a web page", "is a page of the web"),
    "zsad/features/architecture.py": lambda text: text + "\n# A remark.\n",
    "zsad/features/fitting.py": lambda text: text + "\n# A remark.\n",
    "zsad/sharing/content_key.py": lambda text: text + "\n# A remark.\n",
    "zsad/features/registry.py": lambda text: text + "\n# A remark.\n",
    "zsad/models/__init__.py": lambda text: '"""Networks."""\n',
}


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    for folder in ("zsad", "workflow_scripts"):
        shutil.copytree(REPOSITORY / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def edit(root: Path, module: str, change: Callable[[str], str]) -> None:
    path = root / module
    text = path.read_text()
    path.write_text(change(text))
    assert path.read_text() != text, module


def changed_stages(root: Path) -> set[str]:
    return {script for script in SCRIPTS if hashes_of(script, root) != hashes_of(script)}


def test_messages_progress_and_the_frame_of_jobs_are_no_reason_to_compute_anew(copied: Path) -> None:
    for module, change in NEUTRAL.items():
        edit(copied, module, change)
    assert changed_stages(copied) == set()
    assert shared_name(hashes_of("extract_features", copied)) == shared_name(hashes_of("extract_features"))


def test_a_raised_revision_gives_shared_files_another_name() -> None:
    raised = hashes_of("extract_features", extract_features=REVISIONS["extract_features"] + 1)
    assert shared_name(raised) != shared_name(hashes_of("extract_features"))


def shared_name(code: dict[str, str]) -> str:
    """The content key of features that are extracted from no image by some code."""
    provenance = {"stage": "extract_features", "params": {}, "code": code, "versions": {}}
    return content_key(provenance, [], file_format="features", model={}, device="cpu")


def test_a_new_method_of_the_mask_writer_concerns_what_writes_or_reads_masks(copied: Path) -> None:
    def with_method(text: str) -> str:
        return text.replace("class MaskReader", "    def count(self) -> int:\n        return 0\n\n\nclass MaskReader")

    edit(copied, "zsad/files/masks.py", with_method)
    assert changed_stages(copied) == {
        *("segment_foreground", *SCORES, "refine_masks", "modulate_scores", "evaluate_masks"),
        *("draw_gallery", "build_page", "export_results", "outline_truth", "classify_images"),
    }


def test_what_computes_features_makes_those_of_its_backbone_anew(copied: Path) -> None:
    edit(copied, "zsad/features/filter_bank.py", lambda text: text + "\n# Another filter.\n")
    entries = {name: [BACKBONES.entry(name)] for name in BACKBONES.names()}
    changed = {
        name
        for name, entry in entries.items()
        if hashes_of("extract_features", copied, entry) != hashes_of("extract_features", entries=entry)
    }
    assert changed == {"embedded"}
    assert changed_stages(copied) == SEES


@pytest.mark.parametrize(
    ("module", "stages"),
    [
        ("zsad/files/features.py", {"extract_features", "join_features", *LEARNS, "classify_images"}),
        ("zsad/files/texts.py", {"encode_texts", *LEARNS}),
        ("zsad/texts/prompt_sets.py", {"encode_texts"}),
        ("zsad/texts/part_names.py", {"encode_texts"}),
        ("zsad/models/texts/clip.py", {"encode_texts"}),
        ("zsad/files/embeddings.py", {*LISTED - {"extract_features"}, "evaluate_oracle"}),
        ("zsad/files/draws.py", {*EVALUATES, "collect_tables"}),
        ("zsad/files/download.py", set()),
        ("zsad/models/weight_files.py", {*SEES, *LISTED, "evaluate_oracle"}),
        ("zsad/models/families/clip.py", SEES),
        ("zsad/models/conversion/timm.py", SEES),
        ("zsad/data/demo/ring.py", {"make_demo"}),
        ("zsad/data/layouts/visa.py", READS_IMAGES),
        ("zsad/data/layouts/base.py", {*READS_IMAGES, "read_support", "draw_support", "evaluate_classes"}),
        ("zsad/classification/regions.py", {"classify_images"}),
        ("zsad/data/inspection.py", {"check_images"}),
        ("zsad/data/unpack.py", {"download_dataset"}),
        ("zsad/scoring/similarity.py", LEARNS),
        ("zsad/scoring/references.py", LEARNS),
        ("zsad/scoring/memory_bank.py", LEARNS),
        ("zsad/scoring/train_method.py", {"train_method"}),
        ("zsad/scoring/trained.py", LEARNS),
        ("zsad/scoring/fit_method.py", {"fit_method"}),
        ("zsad/scoring/score_images.py", {"score_images"}),
        ("zsad/deciding/base.py", DECIDES),
        ("zsad/deciding/decide_images.py", DECIDES),
        ("zsad/deciding/reference_quantile.py", {"decide_images"}),
        ("zsad/files/fitted.py", {*SCORES, *DECIDES}),
        ("zsad/scoring/fusion.py", {"fuse_scores"}),
        ("zsad/scoring/cost.py", set()),
        ("zsad/refinement/guided.py", {"refine_masks"}),
        ("zsad/refinement/refine_masks.py", {"refine_masks"}),
        ("zsad/refinement/crops.py", {"refine_masks", "embed_crops"}),
        ("zsad/evaluation/evaluate_scores.py", {"evaluate_scores"}),
        ("zsad/evaluation/normals.py", {"evaluate_scores"}),
        ("zsad/evaluation/evaluate_oracle.py", {"evaluate_oracle"}),
        ("zsad/evaluation/writing.py", EVALUATES),
    ],
)
def test_a_module_concerns_the_stages_that_need_it(module: str, stages: set[str]) -> None:
    assert stages_behind(module) == stages


def test_the_page_depends_on_all_that_it_is_put_together_from() -> None:
    folder = REPOSITORY / "zsad" / "reporting"
    parts = {path for kind in ("jinja", "css", "js") for path in folder.rglob(f"*.{kind}")}
    assert {path.suffix for path in parts} == {".jinja", ".css", ".js"}
    hashes = code_hashes(REPOSITORY, "workflow_scripts/build_page.py")
    assert {path.relative_to(REPOSITORY).as_posix() for path in parts} <= set(hashes)


@pytest.mark.parametrize("script", sorted(SCORES))
def test_a_method_does_not_depend_on_another_methods_module(script: str) -> None:
    for name in SCORERS.names():
        tracked = hashes_of(script, entries=[SCORERS.entry(name)])
        others = {f"zsad/scoring/{other}.py" for other in SCORERS.names() if other != name}
        assert not others & set(tracked)


def test_no_stage_imports_a_later_one() -> None:
    order = ["data", "features", "scoring", "refinement", "evaluation", "reporting"]
    for rank, stage in enumerate(order):
        for path in sorted((REPOSITORY / "zsad" / stage).rglob("*.py")):
            for later in order[rank + 1 :]:
                assert f"zsad.{later}" not in path.read_text().replace("`zsad.", ""), f"{path} imports zsad.{later}"


def test_the_features_of_a_network_depend_on_all_that_is_behind_them_but_not_on_the_list_of_models() -> None:
    tracked = hashes_of("extract_features", entries=[BACKBONES.entry("transformers")])
    for module in ("features/network", "features/loading", "features/debias", "models/attention"):
        assert f"zsad/{module}.py" in tracked
    assert {"zsad/models/families/clip.py", "zsad/models/conversion/timm.py"} <= set(tracked)
    assert "zsad/models/catalogue.py" not in tracked
    others = ("zsad/models/published/", "zsad/scoring/", "zsad/data/layouts/")
    assert not [path for path in tracked if path.startswith(others)]


@pytest.mark.parametrize("family", ["resnet", "efficientnet_lite"])
def test_the_features_of_a_convolutional_network_do_not_depend_on_transformers(family: str) -> None:
    tracked = hashes_of("extract_features", entries=[BACKBONES.entry(family)])
    assert f"zsad/features/cnn/{family}.py" in tracked
    assert "zsad/features/network.py" not in tracked
    assert not [path for path in tracked if "families" in path or path.endswith(("timm.py", "dinov2.py"))]


def test_the_built_in_features_do_not_depend_on_networks() -> None:
    tracked = hashes_of("extract_features", entries=[BACKBONES.entry("embedded")])
    assert "zsad/features/loading.py" in tracked
    assert not [path for path in tracked if "network" in path or "families" in path or "zsad/models" in path]


def test_what_computes_features_does_not_need_the_text_towers_that_it_is_said_not_to_run() -> None:
    for_others = {"zsad/features/base.py", "zsad/features/image_text.py"}  # which load one, for the stage of texts
    traced = {path for path in hashes_of("extract_features") if path.endswith(".py")}
    assert for_others < traced
    for path in traced - for_others:
        imported = codetrace._imported(str(REPOSITORY), path)
        assert not [name for name in imported if name.startswith("zsad.models.texts")], path
