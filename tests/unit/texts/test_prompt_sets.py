"""Sets of prompts: those of the package word by word, and a user's own with all that can be wrong with it."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import yaml

from paths import REPOSITORY
from zsad.errors import ConfigError
from zsad.files.texts import ANOMALOUS, NORMAL
from zsad.texts import prompt_sets
from zsad.texts.prompt_sets import (
    BUILT_IN,
    PromptSet,
    check_prompts,
    prompt_set,
    prompts_files,
    prompts_name,
    sentences_of,
)

DOCUMENTED = (REPOSITORY / "docs/prompts.md").read_text(encoding="utf-8")
GOOD = "{normal: ['{}'], anomalous: ['broken {}'], templates: ['a {}.']}"


@pytest.fixture(autouse=True)
def working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def written(content: str | bytes, name: str = "mine.yaml") -> str:
    Path(name).write_bytes(content.encode() if isinstance(content, str) else content)
    return name


def refusal(reference: str) -> str:
    with pytest.raises(ConfigError) as caught:
        prompt_set(reference)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- those of the package ---


@pytest.mark.parametrize(
    ("name", "normal", "anomalous", "distinct"),
    [("winclip", 7 * 22, 4 * 22, 11 * 22), ("winclip_21", 7 * 21, 4 * 21, 11 * 20), ("april_gan", 7 * 35, 5 * 35, 420)],
)
def test_a_set_of_the_package_has_the_published_number_of_sentences(
    name: str, normal: int, anomalous: int, distinct: int
) -> None:
    sentences = sentences_of(prompt_set(name), "metal nut")
    assert sentences.states == [NORMAL] * normal + [ANOMALOUS] * anomalous
    assert len(sentences.texts) == normal + anomalous
    assert len(set(sentences.texts)) == distinct
    assert all("metal nut" in text and text.endswith(".") for text in sentences.texts)


def test_winclip_has_each_state_in_each_template() -> None:
    qualities = ("cropped", "close-up", "bright", "dark", "jpeg corrupted", "blurry")
    templates = {f"a {quality} photo of {article} {{}}." for quality in qualities for article in ("a", "the")}
    templates |= {f"a photo of {article} {{}}." for article in ("a", "the")}
    templates |= {f"a photo of {article} {size} {{}}." for article in ("a", "the") for size in ("small", "large")}
    templates |= {
        f"a photo of {article} {{}} for {purpose}."
        for article in ("a", "the")
        for purpose in ("visual inspection", "anomaly detection")
    }
    winclip = prompt_set("winclip")
    assert {*winclip.templates} == templates
    assert {*winclip.normal} == {
        "{}",
        *(f"{word} {{}}" for word in ("flawless", "perfect", "unblemished")),
        *(f"{{}} without {word}" for word in ("flaw", "defect", "damage")),
    }
    assert {*winclip.anomalous} == {"damaged {}", "{} with flaw", "{} with defect", "{} with damage"}


def test_winclip_21_is_winclip_with_the_slips_of_two_repositories() -> None:
    winclip, slips = prompt_set("winclip"), prompt_set("winclip_21")
    assert (slips.normal, slips.anomalous) == (winclip.normal, winclip.anomalous)
    expected = [*winclip.templates, "a jpeg corrupted photo of the {}."]
    for missing in ("a jpeg corrupted photo of a {}.", "a cropped photo of a {}."):
        expected.remove(missing)
    assert sorted(slips.templates) == sorted(expected)


def test_april_gan_adds_broken_and_has_templates_of_clip() -> None:
    april, winclip = prompt_set("april_gan"), prompt_set("winclip")
    assert april.normal == winclip.normal
    assert {*april.anomalous} == {*winclip.anomalous, "broken {}"}
    qualities = "bad, low resolution, cropped, bright, dark, close-up, black and white, jpeg corrupted, blurry, good"
    templates = {
        f"a {quality} photo of {article} {{}}." for quality in qualities.split(", ") for article in ("a", "the")
    }
    templates |= {
        f"a photo of {article} {size} {{}}." for article in ("a", "the") for size in ("small", "large", "cool")
    }
    templates |= {f"a photo of {article} {{}}." for article in ("a", "the", "my", "one")}
    templates |= {f"there is {article} {{}} in the scene." for article in ("a", "the")}
    templates |= {f"this is {article} {{}} in the scene." for article in ("a", "the", "one")}
    assert {*april.templates} == templates
    assert len(april.templates) == len(templates) == 35


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_set_of_the_package_names_its_source_and_its_name_is_that_of_its_file(name: str) -> None:
    assert len(prompt_set(name).source) > 20
    assert BUILT_IN[name].name == f"{name}.yaml"
    assert prompts_name(name) == name
    assert prompts_files(name) == []
    check_prompts(name)


def test_every_file_of_the_package_is_a_set() -> None:
    (folder,) = {path.parent for path in BUILT_IN.values()}
    assert {*folder.iterdir()} == {*BUILT_IN.values()}


# --- sentences ---


def test_sentences_stand_in_order_with_what_stands_twice() -> None:
    prompts = PromptSet(
        normal=("{}", "good {}"), anomalous=("{} with flaw",), templates=("a {}.", "the {}, seen.", "a {}.")
    )
    sentences = sentences_of(prompts, "printed circuit board")
    assert sentences.texts == [
        "a printed circuit board.",
        "the printed circuit board, seen.",
        "a printed circuit board.",
        "a good printed circuit board.",
        "the good printed circuit board, seen.",
        "a good printed circuit board.",
        "a printed circuit board with flaw.",
        "the printed circuit board with flaw, seen.",
        "a printed circuit board with flaw.",
    ]
    assert sentences.states == [NORMAL] * 6 + [ANOMALOUS] * 3


# --- a user's own ---


def test_a_users_file_has_the_same_keys() -> None:
    Path("mine.yaml").write_text(BUILT_IN["winclip"].read_text())
    assert prompt_set("mine.yaml") == prompt_set("winclip")
    assert prompt_set(written(GOOD)) == PromptSet(normal=("{}",), anomalous=("broken {}",), templates=("a {}.",))
    assert prompt_set(written(b"\xef\xbb\xbf" + GOOD.encode())).source == ""
    assert prompt_set(written(GOOD.replace("broken", "欠陥のある"))).anomalous == ("欠陥のある {}",)
    assert prompts_files("mine.yaml") == ["mine.yaml"]


def test_a_set_of_the_package_wins_over_a_file_of_its_name() -> None:
    written(GOOD, "winclip")
    assert len(prompt_set("winclip").templates) == 22
    assert len(prompt_set("./winclip").templates) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("['{}']", "['{}"), r"is not valid YAML: line 1: .*; correct it, and put phrases in quotes"),
        (("['{}']", "[]"), r"normal = \[\] is not valid: it must not be empty"),
        (("['a {}.']", "[]"), r"templates = \[\] is not valid: it must not be empty"),
        (("['a {}.']", "'a {}.'"), r"templates = 'a \{\}\.' is not valid: it must be a list"),
        (("['{}']", "null"), r"normal = null is not valid: it must be a list"),
        (("['{}']", "[{}]"), r"item 1 of normal = \{\} is not valid: it must be text: put it in quotes, \"\{\}\""),
        (("'a {}.'", "'a {}.', 3"), r"name 2 in 'templates' must be text, .* the number 3; put it in quotes"),
        (("'a {}.'", "['a {}']"), r"item 1 of templates = \['a \{\}'\] is not valid: it must be text"),
        (
            ("'a {}.'", "'a photo.'"),
            r"item 1 of templates = 'a photo\.' .*: it must have \{\} once, .* has it no times",
        ),
        (("'a {}.'", "'a {}, {}.'"), r"item 1 of templates = 'a \{\}, \{\}\.' .* has it 2 times"),
        (("'a {}.'", "'{0} {}'"), r"item 1 of templates = '\{0\} \{\}' is not valid: it must not contain '\{'"),
        (("'a {}.'", "'{} }'"), r"it must not contain '\}', since braces are placeholders"),
        (("'a {}.'", "'a {name}.'"), r"it must have \{\} once"),
        (("'{}'", "''"), r"item 1 of normal = '' is not valid: it must not be empty"),
        (("'{}'", "' '"), r"item 1 of normal = ' ' is not valid: it must not be empty"),
        (("'a {}.'", '"a {}.\\n"'), r"it must be one line of text, without '\\n'"),
        (("'a {}.'", '"a {}\\0."'), r"it must be one line of text, without '\\x00'"),
        (("'a {}.'", '"a {}\\ud800."'), r"(it must be|not valid YAML)"),
        (("templates", "template"), r"unknown parameter 'template'; did you mean 'templates'\?"),
        (("normal: ['{}'], ", ""), r"parameter 'normal' is missing"),
        (("anomalous: ['broken {}'], ", ""), r"parameter 'anomalous' is missing"),
        (("{normal", "{source: 5, normal"), r"'source' must be text"),
        (("{normal", "{normal: ['{}'], normal"), r"the key 'normal' is already in line 1"),
    ],
)
def test_a_fault_is_one_sentence_that_names_the_file(change: tuple[str, str], message: str) -> None:
    content = GOOD.replace(*change)
    assert content != GOOD
    said = refusal(written(f"{content}\n"))
    assert "mine.yaml" in said
    assert re.search(message, said), said


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file of prompts mine.yaml is empty; it must hold normal, anomalous and templates"),
        ("# nothing\n", "is empty"),
        ("- a {}\n", "must hold keys and values"),
        ("a {}\n", "must hold keys and values"),
        ("- {} without flaw\n", "not valid YAML: line 1: .*put phrases in quotes"),
        (GOOD.encode("utf-16"), "the file of prompts mine.yaml is text in UTF-16, not UTF-8"),
        (GOOD.replace("broken", "für").encode("latin-1"), r"is not text in UTF-8 \(line 1\)"),
        (b"\x80\x02}q\x00.", "is not text in UTF-8"),
        ("#" * 1_000_001, "has more than 1,000,000 bytes"),
        (
            yaml.safe_dump({"normal": ["{}"] * 60, "anomalous": ["{}"] * 60, "templates": ["{}"] * 100}),
            "makes 12000 sentences .* at most 10000",
        ),
    ],
    ids=str,
)
def test_what_is_no_set_is_one_sentence_that_names_the_file(content: str | bytes, message: str) -> None:
    said = refusal(written(content))
    assert "mine.yaml" in said
    assert re.search(message, said), said


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("winclp", "there is no prompt set 'winclp', and no such file; did you mean 'winclip'?"),
        ("nothing_alike", "choose from: april_gan, winclip, winclip_21"),
        ("april_gan.yaml", "the file of prompts april_gan.yaml does not exist; did you mean 'april_gan'?"),
        ("prompts/mine.yml", "the file of prompts prompts/mine.yml does not exist"),
        ("", "the file of prompts . is a folder"),
        (".", "the file of prompts . is a folder"),
        ("tokens.pth", "the file of prompts tokens.pth does not exist"),
        ("a\0b", "there is no prompt set"),
        ("a" * 5000, "there is no prompt set"),
    ],
)
def test_what_does_not_exist_is_reported_with_what_does(reference: str, message: str) -> None:
    assert message in refusal(reference)


def test_a_pipe_is_no_file_of_prompts() -> None:
    os.mkfifo("mine.yaml")
    assert refusal("mine.yaml") == "the file of prompts mine.yaml is not a file; give a YAML file"


def test_learned_tokens_are_no_sentences_and_are_looked_for_by_the_check() -> None:
    with pytest.raises(ConfigError, match=r"^the file of learned tokens tokens\.pth does not exist; correct the path$"):
        check_prompts("tokens.pth")
    Path("weights.pth").mkdir()
    with pytest.raises(ConfigError, match=r"^the file of learned tokens weights\.pth is a folder; correct the path$"):
        check_prompts("weights.pth")
    for name in ("tokens.pth", "TOKENS.PTH"):
        check_prompts(written(b"whatever", name))
    assert "tokens.pth is a file of learned tokens by its extension" in refusal("tokens.pth")
    with pytest.raises(ConfigError, match="did you mean 'winclip'"):
        check_prompts("winclp")


# --- the documentation ---


def test_the_documented_sets_are_those_of_the_package() -> None:
    for name in BUILT_IN:
        prompts = prompt_set(name)
        normal, anomalous, templates = len(prompts.normal), len(prompts.anomalous), len(prompts.templates)
        counts = f"{normal} + {anomalous} | {templates} | {normal * templates} + {anomalous * templates} |"
        assert re.search(rf"^\| `{name}`( \(default\))? \| {re.escape(counts)}", DOCUMENTED, re.MULTILINE), name


def test_the_documented_file_is_a_set() -> None:
    example = next(block for block in DOCUMENTED.split("```yaml\n")[1:] if "templates:" in block).split("```")[0]
    sentences = sentences_of(prompt_set(written(example)), "seam")
    assert sentences.texts[-1] == "a close-up photo of the cracked seam."
    assert len(sentences.texts) == 8


# --- what results are named by ---


def test_names_of_results_are_safe_and_differ_by_the_path() -> None:
    references = [
        "mine.yaml",
        "other/mine.yaml",
        "mine.yml",
        "mine.pth",
        "./winclip",
        "prüfung seite{1}.yaml",
        "x" * 300,
    ]
    names = [prompts_name(reference) for reference in references]
    assert len({*names, *BUILT_IN}) == len(references) + len(BUILT_IN)
    for name in names:
        assert re.fullmatch(r"[A-Za-z0-9_]{1,40}-[0-9a-f]{8}", name), name
    assert names[0].startswith("mine-")
    assert names[5].startswith("pr_fung_seite_1_-")


def test_a_long_set_is_bounded_by_its_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompt_sets, "MOST_SENTENCES", 2)
    prompt_set(written(GOOD))
    monkeypatch.setattr(prompt_sets, "MOST_SENTENCES", 1)
    assert "makes 2 sentences" in refusal("mine.yaml")
