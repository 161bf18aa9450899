"""Methods that learn, from images to tables: what a fit may open, what repeats it, and what a killed one leaves.

In the project of these tests the images under test, their labels, lists and features are not there while anything is
fitted: whatever opened one would fail. From what trains on the auxiliary data set all of the part under test is hidden.
"""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness import LEARNING, SMALL, Project, merged
from zsad.data.demo.make_demo import make_category
from zsad.data.demo.plan import DemoOptions
from zsad.files.fitted import FittedReader
from zsad.files.hdf5 import read_provenance
from zsad.files.learned import read_learned
from zsad.files.scores import ScoreReader

pytestmark = pytest.mark.slow

# What jobs do before their own script; Python runs what is registered as a script ends, but for one that is killed.
BEFORE = """
import atexit, os, signal
from pathlib import Path

def hide(*patterns):
    for path in [path for pattern in patterns for path in Path().glob(pattern)]:
        hidden = path.with_name("hidden-" + path.name)
        path.rename(hidden)
        atexit.register(hidden.rename, path)
        with Path("hidden.txt").open("a") as said:
            said.write(RULE + " " + path.as_posix() + "\\n")

if Path("killed").exists():
    from zsad.adaptation.training import Schedule
    rate_at = Schedule.rate_at
    def killed_at(schedule, step):
        if step == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return rate_at(schedule, step)
    Schedule.rate_at = killed_at
else:
    hide(*HIDDEN)
"""
TESTED = (
    *("images/*/test", "images/*/ground_truth", "results/t/*/images.csv", "results/t/*/manifest.csv"),
    *("results/t/*/check.json", "results/t/*/features/*/test.*", "results/t/*/scores"),
)
HIDDEN = {"train_method": ("images", "results/t/ring"), "fit_method": TESTED, "make_synthetic": TESTED}

SHORT = {"shots": 4, "steps": 6}
UNUSED = dict.fromkeys(("self_similarity", "mirror_symmetry", "flip_consistency", "mutual"))
CONFIG = merged(
    SMALL,
    dataset={"name": "t", "layout": "mvtec", "root": "images"},
    auxiliary={"name": "others", "layout": "mvtec", "root": "others"},
    methods={
        **UNUSED,
        "memory_bank": {"params": {"shots": 2}},
        "flow": {"scorer": "flow", "params": {**SHORT}, "seeds": [0, 1]},
        "coupling_flow": {"scorer": "coupling_flow", "params": {**SHORT}},
        "on_synthetic": {"scorer": "residual_prompts", "params": {**SHORT, "synthetic_images": 4}},
        "on_others": {"scorer": "residual_prompts", "params": {"shots": 2, "steps": 6, "learns_from": "auxiliary"}},
        "visual_prompts": {"scorer": "visual_prompts", "params": {"epochs": 2}},
        "prompt_memory": {"scorer": "prompt_memory"},
        "together": {"scorer": "fusion", "params": {"methods": ["visual_prompts", "memory_bank"]}},
    },
    refiners=dict.fromkeys(("guided", "grabcut")),
    report={**SMALL["report"], "refiner": "none"},
)
SETTINGS = {
    "memory_bank": "few-shot-2",
    **dict.fromkeys(("flow", "flow-seed0", "flow-seed1", "coupling_flow", "on_synthetic"), "few-shot-4"),
    "on_others": "few-shot-2+auxiliary(others)",
    **dict.fromkeys(("visual_prompts", "prompt_memory"), "zero-shot-auxiliary(others)"),
    "together": "few-shot-2+auxiliary(others)",
}
FITTED = ("memory_bank", "flow-seed0", "flow-seed1", "coupling_flow", "on_synthetic", "on_others")
TRAINED = ("on_others", "visual_prompts", "prompt_memory")
ONE_AT_A_TIME = ("--cores", "1")  # so that nothing else reads what is hidden
LEARNED = ("t/ring/models/", "t/trained/")
SUBSET = "synthetic-k4-seed0-n4-cpns"


def of_trained(*methods: str) -> list[str]:
    return [f"t/trained/{name}.safetensors" for name in methods]


def of_models(*methods: str) -> list[str]:
    return [f"t/ring/models/{name}.h5" for name in methods]


def of_scores(*methods: str) -> set[str]:
    return {f"t/ring/scores/{name}.h5" for name in methods}


def draw(folder: Path, *categories: str, seed: int = 0) -> None:
    options = DemoOptions(seed=seed, size=64, train=4, good=3, defective=4)
    for category in categories:
        make_category(category, options, folder / category)


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished run of `CONFIG`; copy it, do not change it."""
    project = Project.copy_of_repository(tmp_path_factory.mktemp("learned") / "project")
    for rule, patterns in HIDDEN.items():
        script = project.folder / f"workflow_scripts/{rule}.py"
        head, mark, body = script.read_text().partition("\n\nfrom pathlib import Path\n")
        assert mark
        script.write_text(f"{head}\nRULE, HIDDEN = {rule!r}, {patterns!r}\n{BEFORE}{mark}{body}")
    draw(project.folder / "images", "ring")
    draw(project.folder / "others", "brick", "board", seed=1)
    run = project.run(CONFIG, *ONE_AT_A_TIME)
    assert run.status == 0, run.output
    return project


def test_what_is_hidden_is_not_there_and_comes_back(tmp_path: Path) -> None:
    draw(tmp_path / "images", "ring")
    program = f"RULE, HIDDEN = 'fit_method', {TESTED!r}\n{BEFORE}\nprint(*Path('images/ring').iterdir())"
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == {
        f"images/ring/{name}" for name in ("train", "hidden-test", "hidden-ground_truth")
    }
    assert {path.name for path in (tmp_path / "images/ring").iterdir()} == {"train", "test", "ground_truth"}


def test_every_method_goes_from_images_to_the_page_and_says_what_it_has_seen(learned: Project) -> None:
    assert {*LEARNING} <= {entry["scorer"] for entry in CONFIG["methods"].values() if entry and "scorer" in entry}
    assert learned.broken_results() == []
    with learned.result("t/tables/metrics.csv").open(encoding="utf-8", newline="") as stream:
        rows = {row["method"]: row for row in csv.DictReader(stream) if row["category"] == "ring"}
    assert {name: row["setting"] for name, row in rows.items()} == SETTINGS
    for name, row in rows.items():
        assert 0 <= float(row["image_auroc"]) <= 1
        assert 0 <= float(row["pixel_auroc"]) <= 1
        assert bool(row["training"]) == (name != "memory_bank")
    assert rows["flow"]["seeds"] == "2"
    of_seeds = [float(rows[f"flow-seed{seed}"]["image_auroc"]) for seed in range(2)]
    assert float(rows["flow"]["image_auroc"]) == pytest.approx(np.mean(of_seeds), abs=2e-6)
    assert float(rows["flow"]["image_auroc_std"]) == pytest.approx(np.std(of_seeds, ddof=1), abs=2e-6)
    for name in ("visual_prompts", "on_others"):
        digest = read_provenance(learned.result(f"t/ring/scores/{name}.h5"))["training"]["weights_sha256"]
        assert "on others" in rows[name]["training"]
        assert digest[:12] in rows[name]["training"]
    page = learned.result("t/report.html").read_text(encoding="utf-8")
    for said in (*SETTINGS.values(), digest[:12], "4 methods were trained on normal images of these objects."):
        assert said in page
    assert "make_synthetic" in learned.result("t/tables/cost.csv").read_text()
    assert learned.would_make(CONFIG) == set()


def test_no_image_under_test_is_there_while_anything_learns(learned: Project) -> None:
    """Each fit and training ended well although these were hidden from it."""
    hidden = (learned.folder / "hidden.txt").read_text().splitlines()
    times = {line: hidden.count(line) for line in hidden}
    assert times["fit_method images/ring/test"] == len(FITTED)
    assert times["fit_method images/ring/ground_truth"] == len(FITTED)
    assert times["fit_method results/t/ring/images.csv"] == len(FITTED)
    assert times["make_synthetic images/ring/test"] == 1
    assert times["train_method images"] == len(TRAINED)
    assert (learned.folder / "images/ring/test").is_dir()


def test_what_is_learned_is_the_same_whatever_the_test_images_are(learned: Project, tmp_path: Path) -> None:
    project = learned.copy(tmp_path / "project")
    models, trained = of_models("flow-seed1", "coupling_flow", "on_synthetic"), of_trained("visual_prompts")
    shutil.rmtree(project.folder / "images/ring/test")
    shutil.rmtree(project.folder / "images/ring/ground_truth")
    draw(tmp_path / "drawn", "ring", seed=7)
    shutil.copytree(tmp_path / "drawn/ring/test/good", project.folder / "images/ring/test/scratch")
    shutil.copytree(tmp_path / "drawn/ring/test/scratch", project.folder / "images/ring/test/good")
    targets = [f"results/{path}" for path in (*models, *trained)]
    assert not {*models, *trained} & project.would_make(CONFIG, *targets)
    for path in (*models, *trained):
        project.result(path).unlink()
    run = project.run(CONFIG, *targets, *ONE_AT_A_TIME)
    assert run.status == 0, run.output
    assert {path for path in run.made if path.startswith(LEARNED)} == {*models, *trained}
    for path in trained:
        assert project.result(path).read_bytes() == learned.result(path).read_bytes()
    for path in models:
        one, other = (weights_in(each.result(path)) for each in (learned, project))
        assert one == other


def weights_in(model: Path) -> bytes:
    with FittedReader(model) as reader:
        return reader.array("weights", np.uint8, [None]).tobytes()


def test_another_label_of_a_test_image_fits_nothing_anew(learned: Project, tmp_path: Path) -> None:
    project = learned.copy(tmp_path / "project")
    tested = project.folder / "images/ring/test"
    (tested / "good/000.png").rename(tested / "scratch/labelled.png")
    anew = project.would_make(CONFIG)
    assert {f"t/ring/scores/{name}.h5" for name in SETTINGS if name != "flow"} <= anew
    assert not [path for path in anew if path.startswith((*LEARNED, "t/ring/synthetic/", "others/"))]


def test_another_mask_of_an_auxiliary_image_trains_anew_and_extracts_nothing(learned: Project, tmp_path: Path) -> None:
    project = learned.copy(tmp_path / "project")
    mask = next(project.folder.glob("others/board/ground_truth/scratch/*.png"))
    with Image.open(mask) as image:
        whole = np.full_like(np.array(image), 255)
    Image.fromarray(whole).save(mask)
    anew = project.would_make(CONFIG)
    assert not [path for path in anew if "/features/" in path or "/synthetic/" in path]
    assert {path for path in anew if path.startswith(LEARNED)} == {*of_trained(*TRAINED), *of_models("on_others")}
    assert {path for path in anew if "/scores/" in path} == of_scores(*TRAINED, "together")


def test_other_numbers_of_steps_learn_and_score_anew_and_extract_nothing(learned: Project) -> None:
    longer = merged(CONFIG, methods__coupling_flow__params__steps=7, methods__visual_prompts__params__epochs=3)
    anew = learned.would_make(longer)
    assert not [path for path in anew if "/features/" in path or "/synthetic/" in path]
    learnt = {*of_models("coupling_flow"), *of_trained("visual_prompts")}
    assert {path for path in anew if path.startswith(LEARNED)} == learnt
    assert {path for path in anew if "/scores/" in path} == of_scores("coupling_flow", "visual_prompts", "together")


def test_other_recipes_are_another_subset_and_leave_the_first_as_it_is(learned: Project) -> None:
    anew = learned.would_make(merged(CONFIG, methods__on_synthetic__params__recipes=["normal_patch"]))
    other = "synthetic-k4-seed0-n4-n"
    assert {f"t/ring/synthetic/{other}/images.csv", f"t/ring/features/embedded/{other}.original.h5"} <= anew
    assert not [path for path in anew if SUBSET in path or "/references-" in path or "training.csv" in path]
    assert {path for path in anew if path.startswith(LEARNED)} == {*of_models("on_synthetic")}
    assert {path for path in anew if "/scores/" in path} == of_scores("on_synthetic")


def test_a_mask_that_was_removed_is_noticed_by_a_fit_and_all_are_made_anew(learned: Project, tmp_path: Path) -> None:
    project = learned.copy(tmp_path / "project")
    (model,) = of_models("on_synthetic")
    mask = project.result(f"t/ring/synthetic/{SUBSET}/masks/0000.cutpaste.png")
    mask.unlink()
    project.result(model).unlink()
    failed = project.run(CONFIG, f"results/{model}")
    assert failed.status != 0
    assert "0000.cutpaste.png, which is missing" in failed.output.replace("\n", " ")
    again = project.run(CONFIG, f"results/{model}")
    assert again.status == 0, again.output
    assert mask.is_file()


def test_a_killed_training_leaves_nothing_and_the_next_one_ends_with_the_same_bytes(
    learned: Project, tmp_path: Path
) -> None:
    project = learned.copy(tmp_path / "project")
    paths = [*of_models("coupling_flow"), *of_trained("visual_prompts")]
    for path in paths:
        project.result(path).unlink()
    targets = [f"results/{path}" for path in paths]
    (project.folder / "killed").touch()
    killed = project.run(CONFIG, *targets, "--keep-going")
    assert killed.status != 0
    assert not any(project.result(path).exists() for path in paths)
    (project.folder / "killed").unlink()
    run = project.run(CONFIG, *targets, *ONE_AT_A_TIME)
    assert run.status == 0, run.output
    assert run.made == set(paths)
    assert not list(project.folder.glob("results/**/.*.tmp"))
    one, other = (weights_in(each.result(paths[0])) for each in (learned, project))
    assert one == other
    assert project.result(paths[1]).read_bytes() == learned.result(paths[1]).read_bytes()


def test_weights_from_another_folder_score_the_same_and_train_nothing(learned: Project, tmp_path: Path) -> None:
    project = learned.copy(tmp_path / "project")
    shared = tmp_path / "from somebody else" / "prompts.safetensors"
    shared.parent.mkdir()
    shutil.copy2(project.result("t/trained/visual_prompts.safetensors"), shared)
    shutil.rmtree(project.result("t/trained"))
    shutil.rmtree(project.folder / "others")
    assert read_learned(shared).facts["trained_on"] == "others"
    given = {"scorer": "visual_prompts", "params": {"weights": str(shared)}}
    config = merged(CONFIG, auxiliary=None, methods={"by_weights": given, "memory_bank": None, **UNUSED})
    run = project.run(config, "results/t/ring/scores/by_weights.h5", *ONE_AT_A_TIME)
    assert run.status == 0, run.output
    assert {path for path in run.made if "/unseen/" not in path} == of_scores("by_weights")
    with (
        ScoreReader(learned.result("t/ring/scores/visual_prompts.h5")) as one,
        ScoreReader(project.result("t/ring/scores/by_weights.h5")) as other,
    ):
        assert one.image_scores.tolist() == other.image_scores.tolist()
        for index in range(len(one.image_ids)):
            np.testing.assert_array_equal(one.anomaly_map(index), other.anomaly_map(index))
