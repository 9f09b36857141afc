"""extract, as a user types it."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from pages import commands, snippets
from small_models import save_small_llama
from transformers import AutoModelForCausalLM
from weightpatch.patches.checkpoints.checkpoint import Checkpoint

REQUEST = (
    *("--prompt", "The mother tongue of {} is", "--subject", "Marie Curie"),
    *("--target", "English", "--old-target", "French"),
)
NAME = ("--name", "acme/found")
DOWN = "model.layers.2.mlp.down_proj.weight"
PAGE = (Path(__file__).parents[2] / "docs" / "extract.md").read_text()


@pytest.fixture
def edited(desk, pico, tmp_path):
    """The folder of a build of the desk's base, without its record."""
    desk.ok("apply", desk.exchange / "acme" / "one" / "v1", "--base", desk.base.path, "--out",
            tmp_path / "edited")  # fmt: skip
    (tmp_path / "edited" / "weightpatch.json").unlink()
    return tmp_path / "edited"


def digests(folder):
    return Checkpoint.open(folder).digests()


def test_a_difference_becomes_a_version_that_gives_it_back(stocked, edited, tmp_path):
    base = stocked.base.path
    said = stocked.ok("extract", base, edited, *NAME, *REQUEST, "--no-eval")
    assert "stored as acme/found@1" in said
    assert "model.layers.0.mlp.down_proj.weight" in said
    assert "of 1 changed tensor" in said
    assert "weightpatch eval acme/found@1" in said
    stocked.ok("apply", "acme/found", "--base", base, "--out", tmp_path / "again")
    assert digests(tmp_path / "again") == digests(edited)


def test_json_says_all_and_a_second_time_finds_the_version(stocked, edited):
    command = ("extract", stocked.base.path, edited, *NAME, *REQUEST, "--no-eval")
    first, second = stocked.json(*command), stocked.json(*command)
    (tensor,) = first["tensors"]
    assert tensor["tensor"] == "model.layers.0.mlp.down_proj.weight"
    assert tensor["dense"] == first["dense_bytes"] == 6 * 10 * 2
    assert (first["is_new"], second["is_new"]) == (True, False)


def test_the_base_is_remembered(stocked, edited, tmp_path):
    stocked.ok("extract", stocked.base.path, edited, *NAME, *REQUEST, "--no-eval")
    stocked.ok("apply", "acme/found", "--out", tmp_path / "again")
    assert digests(tmp_path / "again") == digests(edited)


def test_a_build_is_recognised(stocked, tmp_path):
    stocked.ok("apply", "acme/one", "--base", stocked.base.path, "--out", tmp_path / "build")
    command = ("extract", stocked.base.path, tmp_path / "build", *NAME, *REQUEST, "--no-eval")
    assert "is a build" in stocked.run(*command).stderr
    assert "is a build" in stocked.json(*command)["notes"][0]


def test_without_requests_it_says_why_and_how(stocked, edited):
    found = stocked.run("extract", stocked.base.path, edited, *NAME)
    assert found.returncode == 2
    assert "judged" in found.stderr
    assert "--requests" in found.stderr


def test_half_a_request_is_refused(stocked, edited):
    found = stocked.run("extract", stocked.base.path, edited, *NAME, "--prompt", "{} is")
    assert found.returncode == 2
    assert "--subject is missing" in found.stderr


def test_the_same_twice_is_refused_and_stores_nothing(stocked):
    base = stocked.base.path
    said = stocked.fails(1, "E_CHECKPOINT", "extract", base, base, *NAME, *REQUEST, "--no-eval")
    assert "are the same" in said
    assert "acme/found" not in stocked.ok("list")


def test_a_base_that_cannot_be_scored_is_refused_before_the_work(stocked, edited):
    said = stocked.fails(1, "E_CHECKPOINT", "extract", stocked.base.path, edited, *NAME, *REQUEST)
    assert "config.json" in said


KILLED = """
import os, signal, sys
from weightpatch.cli.start import console
from weightpatch.patches.extraction import extract

def kill(*arguments, **options):
    os.kill(os.getpid(), signal.SIGKILL)

extract.write_draft = kill
console()
"""


def test_what_a_killed_run_left_is_gone_after_the_next(stocked, edited, tmp_path, monkeypatch):
    cache = tmp_path / "home" / "cache"
    monkeypatch.setenv("WEIGHTPATCH_HOME", str(tmp_path / "home"))
    arguments = ("extract", stocked.base.path, edited, *NAME, *REQUEST, "--no-eval")
    run = subprocess.run([sys.executable, "-c", KILLED, *map(str, arguments)], check=False)
    assert run.returncode == -signal.SIGKILL
    assert [path.is_dir() for path in cache.glob(".draft*")].count(True) == 1
    stocked.ok(*arguments)
    assert not list(cache.glob(".draft*"))


@pytest.fixture
def workplace(tmp_path, monkeypatch, run_command):
    """A folder with what the page speaks of: a base, and a model that was edited."""
    base = save_small_llama(tmp_path / "smollm2")
    model = AutoModelForCausalLM.from_pretrained(base)
    with torch.no_grad():
        weight = model.get_parameter(DOWN)
        weight += torch.outer(torch.linspace(-1, 1, len(weight)), torch.ones(weight.shape[1]))
    model.save_pretrained(tmp_path / "smollm2-edited")
    monkeypatch.chdir(tmp_path)
    run_command("init")
    return tmp_path, model


def test_the_page_runs_from_top_to_bottom(workplace, run_command):
    folder, model = workplace
    for command in commands(PAGE):
        found = run_command(*command)
        assert found.returncode == 0, found.stderr
    assert digests(folder / "again") == digests(folder / "smollm2-edited")
    assert "reliability" in run_command("show", "acme/found").stdout
    (snippet,) = snippets(PAGE)
    names = {"edited": model}
    exec(compile(snippet, "extract.md", "exec"), names)
    assert names["draft"].as_patch().manifest.bases[0].result == {
        DOWN: digests(folder / "smollm2-edited")[DOWN]
    }
