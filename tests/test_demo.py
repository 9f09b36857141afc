"""The demo runs to its end, its edits are small, and made again they are the same."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

DEMO = Path(__file__).parents[1] / "demo"


def load_story():
    spec = importlib.util.spec_from_file_location("story", DEMO / "story.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def shared(folder: Path) -> list[Path]:
    """The folders of both patches that Ana has pushed."""
    return [folder / "exchange" / "ana" / name / "v1" for name in ("darrieux", "big-ben")]


def promised(folder: Path) -> dict:
    """What both patches say that the base becomes, and the bytes that they hold."""
    manifests = [json.loads((patch / "patch.json").read_text()) for patch in shared(folder)]
    return {
        m["name"]: (m["bases"][0]["result"], m["files"]["delta.safetensors"]) for m in manifests
    }


@pytest.mark.slow
def test_the_demo_makes_small_patches_and_makes_them_again(smollm2, tmp_path, capfd):
    first, again = tmp_path / "first", tmp_path / "again"
    subprocess.run([sys.executable, DEMO / "story.py", smollm2, first], check=True)
    told = capfd.readouterr().out
    assert "cmp found no difference" in told
    assert "London" in told
    for patch in shared(first):
        files = ("patch.json", "delta.safetensors", "requests.jsonl")
        assert sum((patch / file).stat().st_size for file in files) < 32 * 1024

    again.mkdir()
    for name in ("smollm2", "answer.py"):
        (again / name).symlink_to(first / name)
    module = load_story()
    story = module.Story(again)
    module._ana_edits(story)
    module._ana_shares(story)
    assert promised(first) == promised(again)
