"""The section that says which published figures methods are to meet, and the configurations that are papers."""

import json

import pytest

from paths import REPOSITORY
from published_trees import write_mvtec, write_visa
from zsad.cli import main
from zsad.errors import ConfigError
from zsad.files.yaml_files import read_yaml
from zsad.models.catalogue import resnet_facts_of
from zsad.models.published.resnet import file_of
from zsad.tables.published import read_published
from zsad.workflow.settings import Settings, default_config, load

PRESETS = sorted((REPOSITORY / "config" / "published").glob("*.yaml"))
MUSC = {"method": "MuSc", "backbone": "CLIP ViT-L/14-336", "resolution": 518}
DTU = ["bottle", "cable", "carpet", "hazelnut", "screw"]


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    """Folders of tiny images by layout."""
    folder = tmp_path_factory.mktemp("images")
    return {
        "mvtec_ad": write_mvtec(folder / "mvtec", DTU).as_posix(),
        "visa": write_visa(folder / "visa", ["candle", "pcb1"]).as_posix(),
    }


@pytest.fixture
def settings_of(roots):
    """Settings of the default methods, which are to meet what is given."""

    def make(published, *, layout="mvtec_ad", **methods):
        config = default_config()
        config["dataset"] = {"layout": layout, "root": roots.get(layout, roots["mvtec_ad"])}
        config["methods"] |= methods
        config["published"] = published
        return Settings(config)

    return make


def test_a_method_is_to_meet_the_row_of_its_own_setting_unless_another_is_named(settings_of):
    assert settings_of({"mutual": MUSC}).to_meet()["mutual"] | {"protocol": ""} == {
        **MUSC,
        "resolution": "518",
        "setting": "zero-shot-batch",
        "source": "",
        "protocol": "",
    }
    other = {"mutual": {**MUSC, "method": "PatchCore", "backbone": "WideResNet-50", "resolution": 224}}
    other["mutual"]["setting"] = "full-shot"
    assert settings_of(other).to_meet()["mutual"]["setting"] == "full-shot"
    assert settings_of(None).to_meet() == settings_of({"mutual": None}).to_meet() == {}


def test_our_protocol_is_told_in_words(settings_of):
    said = settings_of({"mutual": MUSC}).to_meet()["mutual"]["protocol"]
    assert said == (
        "input of 256 px; pixels compared at the resolution of the images, without a crop; maps not smoothed; "
        "image score: mean of the highest 1 % of the patches; exact AUPRO up to a false-positive rate of 0.3"
    )
    musc = load(REPOSITORY / "config/published/musc.yaml").to_meet()["musc"]["protocol"]
    assert musc.startswith("input of 518 px (fit: square); pixels compared at 518 x 518 pixels")
    assert "image score: the highest patch" in musc
    assert "exact" not in musc
    dino = load(REPOSITORY / "config/published/anomalydino_1shot.yaml").to_meet()["anomalydino"]["protocol"]
    assert "maps smoothed by a Gaussian of 4 px" in dino
    assert "not smoothed" not in dino
    padim = load(REPOSITORY / "config/published/padim.yaml").to_meet()["padim_resnet18"]["protocol"]
    assert "image score: the highest pixel, 4 along a patch, smoothed by 4 of them" in padim
    patchcore = load(REPOSITORY / "config/published/patchcore.yaml").to_meet()["patchcore"]["protocol"]
    assert "image score: the method's own" in patchcore


def test_seeds_meet_it_by_the_name_that_they_share_or_one_by_one(settings_of):
    row = {"method": "AnomalyDINO", "backbone": "DINOv2 ViT-S/14", "resolution": "448"}
    bank = {"scorer": "memory_bank", "params": {"shots": 1}, "seeds": [0, 1]}
    met = settings_of({"bank": row, "bank-seed1": row}, bank=bank).to_meet()
    assert {name: names["setting"] for name, names in met.items()} == {"bank": "few-shot-1", "bank-seed1": "few-shot-1"}


def test_the_table_is_made_only_where_something_is_to_be_met(settings_of):
    assert "against_csv" in settings_of({"mutual": MUSC}).measurable.tables
    without = settings_of(None).measurable
    assert "against_csv" not in without.tables
    assert "tables/against_published.csv" in without.unmade()


def test_a_method_that_cannot_run_meets_nothing(settings_of):
    bank = {"scorer": "memory_bank", "params": {"shots": 16}}
    row = {"method": "AnomalyDINO", "backbone": "DINOv2 ViT-S/14", "resolution": 672}
    settings = settings_of({"bank": row}, bank=bank)
    assert "bank" in settings.left_out
    assert settings.to_meet() == {}
    assert "against_csv" not in settings.measurable.tables


@pytest.mark.parametrize(
    ("published", "said"),
    [
        ({"mutuel": MUSC}, "published.mutuel: the run has no method 'mutuel'; did you mean 'mutual'?"),
        (
            {"mutual": {**MUSC, "method": "MuSc (papre)"}},
            "no figures of 'MuSc (papre)' are published on mvtec_ad; did you mean 'MuSc (paper)'?",
        ),
        (
            {"mutual": {**MUSC, "method": "nobody's own"}},
            "no figures of 'nobody's own' are published on mvtec_ad; `zsad published` lists all rows",
        ),
        (
            {"mutual": {**MUSC, "resolution": 519}},
            "no row of 'MuSc' on mvtec_ad has backbone 'CLIP ViT-L/14-336', resolution '519', setting "
            "'zero-shot-batch'; there is backbone 'CLIP ViT-L/14-336', resolution '518', setting 'zero-shot-batch'; ",
        ),
        ({"memory_bank": MUSC}, "setting 'few-shot-8'; there is backbone 'CLIP ViT-L/14-336', resolution '518'"),
        (
            {"mutual": {**MUSC, "source": "a dream"}},
            "setting 'zero-shot-batch' from a source with 'a dream' in it; there is backbone",
        ),
        (
            {
                "mutual": {
                    "method": "WinCLIP",
                    "backbone": "CLIP ViT-B/16-plus-240",
                    "resolution": 240,
                    "setting": "zero-shot-text",
                }
            },
            "published.mutual: 2 rows of 'mean' match, from 'WinCLIP, CVPR 2023",
        ),
        ({"mutual": {"method": "MuSc"}}, "backbone"),
        ({"mutual": {**MUSC, "resolutoin": 518}}, "unknown key 'resolutoin' in 'published.mutual'"),
        ({"mutual": {**MUSC, "resolution": [518]}}, "published.mutual"),
    ],
)
def test_what_cannot_be_met_is_one_sentence_with_what_there_is(settings_of, published, said):
    with pytest.raises(ConfigError) as refused:
        settings_of(published)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_figures_of_another_data_set_or_of_none_cannot_be_met(settings_of):
    row = {"method": "mirroring (DTU)", "backbone": "DINOv3 ViT-S/16", "resolution": 224}
    with pytest.raises(ConfigError, match=r"figures of 'mirroring .DTU.' are published only on mvtec_ad, but this run"):
        settings_of({"flip_consistency": row}, layout="visa")
    with pytest.raises(ConfigError, match="there are no published figures for 'layout: mvtec'"):
        settings_of({"flip_consistency": row}, layout="mvtec")


def test_a_source_tells_two_rows_apart(settings_of):
    row = {"method": "WinCLIP", "backbone": "CLIP ViT-B/16-plus-240", "resolution": 240, "setting": "zero-shot-text"}
    met = settings_of({"mutual": {**row, "source": "zqhang"}}).to_meet()
    assert met["mutual"]["source"] == "zqhang"


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_a_preset_is_complete_and_has_its_published_rows(path, roots, tmp_path):
    """All that a run checks before its first job; no model need be there."""
    content = read_yaml(path, "configuration file")
    layout = content["dataset"]["layout"]
    places = tmp_path / "places.yaml"
    sections = {section: content[section]["layout"] for section in ("dataset", "auxiliary") if section in content}
    places.write_text(json.dumps({section: {"root": roots[name]} for section, name in sections.items()}))
    settings = load(path, places)
    assert settings.left_out == {}
    assert settings.dataset == path.stem
    names = {entry.group or name for name, entry in settings.methods.items()}
    assert set(settings.to_meet()) == names == set(content["published"])
    assert settings.refiners == {}
    assert settings.exports.formats == load().exports.formats
    for row in settings.to_meet().values():
        (mean,) = [
            one
            for one in read_published()
            if (one.dataset, one.method, one.backbone, one.resolution, one.setting)
            == (layout, *(row[name] for name in ("method", "backbone", "resolution", "setting")))
            and one.category == ("bottle" if path.stem == "mirroring_dtu" else "mean")
            and row["source"] in one.source
        ]
        assert mean.source
    for entry in settings.backbones.values():
        assert entry.family != "efficientnet_lite"
    head = path.read_text().split("dataset:")[0].splitlines()
    assert all(line.startswith("# ") for line in head)
    assert 4 <= len(head) <= 12
    assert f"config/published/{path.name}" in head[1] + head[2]
    said = path.read_text()
    assert "Published figures:" in said
    assert "Differences:" in said
    settings.check_models()
    assert not [file for entry in settings.backbones.values() for file in entry.local_files()]
    for entry in settings.backbones.values():
        if entry.family == "resnet":
            assert file_of(resnet_facts_of(entry.params["model"])).rpartition("/")[2] in said


def test_the_page_of_presets_names_each():
    page = (REPOSITORY / "docs" / "published.md").read_text()
    assert {path.stem for path in PRESETS} <= set(page.replace("`", " ").replace(",", " ").split())


def test_the_command_lists_rows_and_presets(capsys):
    assert main(["published", "visa"]) == 0
    said = capsys.readouterr().out
    assert "config/published/musc_visa.yaml" in said
    (line,) = [line for line in said.splitlines() if line.split()[:4] == ["MuSc", "CLIP", "ViT-L/14-336", "518"]]
    assert line.split()[-8:] == ["92.57", "93.31", "89.06", "98.71", "45.38", "48.90", "92.43", "12"]
    assert "mirroring (DTU)" not in said
    assert main(["published", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert len(told["rows"]) == len(read_published())
    assert main(["published", "vysa"]) == 1
    assert "did you mean 'visa'?" in capsys.readouterr().err
