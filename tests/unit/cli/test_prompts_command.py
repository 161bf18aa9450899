"""`zsad prompts`: what methods ask in words, before any model is there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tiny_texts import write_learned_tokens
from zsad.cli import main
from zsad.texts.prompt_sets import BUILT_IN, prompt_set, sentences_of

OWN = "{source: mine, normal: ['{}'], anomalous: ['broken {}'], templates: ['a {}.', 'the {}.']}\n"


@pytest.fixture(autouse=True)
def working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_every_set_is_listed_with_its_counts_and_source(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prompts"]) == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 120
    rows = {
        line.split()[0]: line.split()[1:]
        for line in shown.splitlines()
        if line.split()[:1][0:1] in [[n] for n in BUILT_IN]
    }
    assert rows == {
        "winclip": ["7", "4", "22", "242"],
        "winclip_21": ["7", "4", "21", "231"],
        "april_gan": ["7", "5", "35", "420"],
    }
    for name in BUILT_IN:
        assert f"\n  {name}: {prompt_set(name).source}\n" in shown


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_set_is_printed_word_by_word(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prompts", name, "--part", "metal  nut"]) == 0
    sentences = sentences_of(prompt_set(name), "metal nut")
    normal = sentences.states.count(0)
    assert capsys.readouterr().out == "\n".join(
        [
            f"{name}: {prompt_set(name).source}",
            f"\nNormal ({normal})\n",
            *(f"  {text}" for text in sentences.texts[:normal]),
            f"\nAnomalous ({len(sentences.texts) - normal})\n",
            *(f"  {text}" for text in sentences.texts[normal:]),
            "",
        ]
    )


def test_a_users_file_is_printed_for_an_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("mine.yaml").write_text(OWN)
    monkeypatch.setenv("HOME", str(tmp_path))
    for reference in ("mine.yaml", "~/mine.yaml"):
        assert main(["prompts", reference]) == 0
        shown = capsys.readouterr().out
        assert shown.startswith(f"{reference}: mine\n\nNormal (2)\n\n  a object.\n  the object.\n\nAnomalous (2)\n")
    Path("mine.yaml").write_text(OWN.replace("source: mine, ", ""))
    assert main(["prompts", "mine.yaml"]) == 0
    assert capsys.readouterr().out.startswith("mine.yaml: the file gives no source\n")


def test_the_listing_for_programs_holds_every_phrase_and_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prompts", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["prompts"]
    assert listed == [{"name": name, **prompt_set(name).parameters()} for name in BUILT_IN]
    Path("mine.yaml").write_text(OWN)
    assert main(["prompts", "mine.yaml", "--part", "Rohr", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "name": "mine.yaml",
        "source": "mine",
        "normal": ["a Rohr.", "the Rohr."],
        "anomalous": ["a broken Rohr.", "the broken Rohr."],
    }


def test_learned_tokens_are_described(capsys: pytest.CaptureFixture[str]) -> None:
    write_learned_tokens(Path("epoch_15.pth"))
    assert main(["prompts", "epoch_15.pth"]) == 0
    shown = capsys.readouterr().out
    assert "for a text tower of 32 channels" in shown
    assert "\n  [12 learned tokens] object.\n" in shown
    assert "\n  [12 learned tokens] damaged object.\n" in shown
    assert "Before each of the blocks 2 to 9, other learned tokens replace the first 4" in shown
    assert main(["prompts", "epoch_15.pth", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "name": "epoch_15.pth",
        "channels": 32,
        "normal": [12, "object."],
        "anomalous": [12, "damaged object."],
        "deep": [8, 4],
    }


def test_what_cannot_be_shown_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"state_dict": {"a": torch.ones(1)}}, "other.pth")
    for arguments, expected in (
        (["winclp"], "there is no prompt set 'winclp', and no such file; did you mean 'winclip'?"),
        (["absent.yaml"], "the file of prompts absent.yaml does not exist"),
        (["absent.pth"], "absent.pth cannot be read"),
        (["other.pth"], "other.pth ('state_dict') is no file of AnomalyCLIP's learned tokens"),
        (["winclip", "--part", ""], "--part '' is not usable: it must not be empty"),
        (["winclip", "--part", "{}"], "--part '{}' is not usable: it must not contain '{'"),
        (["~nobody-of-this-name/a.yaml"], "has no home folder on this machine"),
    ):
        assert main(["prompts", *arguments]) == 1
        shown, said = capsys.readouterr()
        assert shown == ""
        assert said.startswith("zsad: ")
        assert expected in said
        assert said.count("\n") == 1


def test_sentences_are_printed_without_a_framework() -> None:
    program = (
        "import sys\n"
        "from zsad.cli import main\n"
        "main(['prompts', 'winclip'])\n"
        "print([name for name in ('torch', 'transformers', 'huggingface_hub') if name in sys.modules])\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "[]"
