"""The demo runs to its end, and a second run gives the same results."""

import importlib.util
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def load_story():
    spec = importlib.util.spec_from_file_location("story", ROOT / "demo" / "story.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def promised(folder: Path) -> dict:
    """What both patches say that the base becomes, and the bytes that they hold."""
    manifests = [
        json.loads((folder / "exchange" / "ana" / name / "v1" / "patch.json").read_text())
        for name in ("darrieux", "big-ben")
    ]
    return {
        m["name"]: (m["bases"][0]["result"], m["files"]["delta.safetensors"]) for m in manifests
    }


@pytest.mark.slow
def test_two_runs_of_the_demo_give_the_same_results(smollm2, tmp_path, capfd):
    runs = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        load_story().tell(tmp_path / name, smollm2)
        runs.append(promised(tmp_path / name))
    assert runs[0] == runs[1]
    told = capfd.readouterr().out
    assert told.count("cmp found no difference") == 2
    assert "London" in told


@pytest.mark.slow
def test_a_rank_one_version_with_its_manifest_is_small(smollm2, tmp_path, run_command):
    run_command("init")
    found = run_command(
        "create", "rome", smollm2, "--name", "acme/darrieux",
        "--prompt", "The mother tongue of {} is",
        "--subject", "Danielle Darrieux", "--target", "English", "--set", "statistics_tokens=1000",
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    (tmp_path / "drive").mkdir()
    assert run_command("push", "acme/darrieux", tmp_path / "drive").returncode == 0
    folder = tmp_path / "drive" / "acme" / "darrieux" / "v1"
    files = ("patch.json", "delta.safetensors", "requests.jsonl")
    assert sum((folder / file).stat().st_size for file in files) < 32 * 1024
