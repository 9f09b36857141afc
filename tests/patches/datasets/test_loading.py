"""Data sets by name: those that ship, and files."""

import hashlib
import os
import re
import tomllib
from importlib import resources
from pathlib import Path

import pytest
from weightpatch.patches.datasets import halves, load, loading
from weightpatch.patches.datasets.loading import text_for_perplexity
from weightpatch.patches.errors import InputError, LimitExceeded, PluginMissing

ROOT = Path(__file__).parents[3]
OWN = '{"prompt": "{} is", "subject": "x", "target": "y"}'


@pytest.mark.parametrize("name", ["counterfact", "knowedit"])
def test_what_ships_loads_whole_and_clean(name):
    data = load(name)
    assert len(data.requests) == 400
    assert data.refused == ()
    for request in data.requests:
        assert request.old_target not in (None, request.target)
        assert request.paraphrases
        assert request.neighbourhood
    file = resources.files("weightpatch.patches.datasets") / "shipped" / f"{name}.json"
    assert data.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()


def test_shipped_counterfact_has_all_that_its_scores_need():
    for request in load("counterfact").requests:
        assert len(request.paraphrases) == 2
        assert len(request.neighbourhood) == 10
        assert len(set(request.generation)) == len(request.generation) > 1


def test_shipped_knowedit_has_each_kind_of_portability_in_both_halves():
    for half in halves(load("knowedit").requests):
        kinds = {kind for request in half for kind in request.portability}
        assert kinds == {"alias", "reversed", "one-hop"}


def test_shipped_records_stand_one_a_line():
    folder = resources.files("weightpatch.patches.datasets") / "shipped"
    for name in ("counterfact.json", "knowedit.json"):
        assert len((folder / name).read_text("utf-8").splitlines()) == 402


def test_the_notice_says_which_records_they_are():
    notice = resources.files("weightpatch.patches.datasets") / "shipped" / "NOTICE.md"
    text = notice.read_text("utf-8")
    missing = re.search(r"29 ids ([\d,\sand]+), which", text)[1]
    left_out = re.search(r"but for ([\d,\sand]+),\s+whose edit", text)[1]
    counterfact = {int(request.id) for request in load("counterfact").requests}
    knowedit = {int(request.id) for request in load("knowedit").requests}
    assert counterfact == set(range(429)) - {int(found) for found in re.findall(r"\d+", missing)}
    assert knowedit == set(range(1, 414)) - {int(found) for found in re.findall(r"\d+", left_out)}


def test_the_text_is_plain_paragraphs():
    paragraphs = text_for_perplexity().splitlines()
    assert 50_000 < len(text_for_perplexity().encode()) <= 60_000
    assert all(len(paragraph) >= 70 and "<unk>" not in paragraph for paragraph in paragraphs)


def test_the_wheel_takes_the_shipped_files_along():
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert "weightpatch.patches.datasets" in setuptools["packages"]
    assert setuptools["package-data"]["weightpatch.patches.datasets"] == ["shipped/*"]


def test_a_file_is_named_after_the_form(tmp_path):
    file = tmp_path / "own.jsonl"
    file.write_text(OWN)
    data = load(f"jsonl:{file}")
    assert (data.name, len(data.requests)) == ("jsonl", 1)
    assert data.sha256 == hashlib.sha256(OWN.encode()).hexdigest()


def test_an_unknown_name_is_answered_with_those_that_are_there():
    with pytest.raises(PluginMissing) as refused:
        load("mine.jsonl")
    assert "counterfact, jsonl" in refused.value.why
    assert "jsonl:FILE" in refused.value.hint
    assert "check the spelling" in refused.value.hint


@pytest.mark.parametrize("spec", ["zsre", "jsonl", "jsonl:"])
def test_what_does_not_ship_needs_a_file(spec):
    with pytest.raises(InputError, match="ship with the package"):
        load(spec)


def test_a_file_without_records_is_refused(tmp_path):
    (tmp_path / "empty.json").write_bytes(b"")
    with pytest.raises(InputError, match="holds no record"):
        load(f"counterfact:{tmp_path / 'empty.json'}")


def test_a_file_of_nothing_but_flaws_is_refused_with_the_first(tmp_path):
    (tmp_path / "bad.jsonl").write_text("7\n8\n")
    with pytest.raises(InputError) as refused:
        load(f"jsonl:{tmp_path / 'bad.jsonl'}", skip_bad=True)
    assert refused.value.why == "line 1: it is not a JSON object"


def test_only_a_regular_file_is_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path, tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(InputError, match="not a regular file"):
            load(f"jsonl:{place}")
    with pytest.raises(InputError, match="missing does not exist"):
        load(f"zsre:{tmp_path / 'missing'}")


def test_a_file_beyond_the_limit_is_refused(tmp_path, monkeypatch):
    (tmp_path / "own.jsonl").write_text(OWN)
    monkeypatch.setattr(loading, "MAX_FILE", len(OWN) - 1)
    with pytest.raises(LimitExceeded):
        load(f"jsonl:{tmp_path / 'own.jsonl'}")
