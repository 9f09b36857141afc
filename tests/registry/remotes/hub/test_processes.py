"""Eight processes that push to one repository at the same time: none of it is lost."""

import json
import subprocess
import sys

import pytest

PUSH = """
import json, sys, time
from pathlib import Path
from weightpatch.patches.errors import WeightpatchError
from weightpatch.patches.format.patch import Patch
from weightpatch.registry.remotes.base import Bundle
from weightpatch.registry.remotes.hub.remote import HubRemote
from weightpatch.registry.remotes.location import HubLocation

folder, begin = map(Path, sys.argv[1:])
bundle = Bundle(Patch.open(folder), "---\\ntags: [model-edit]\\n---\\n")
remote = HubRemote(HubLocation(None, None))
print("ready", flush=True)
while not begin.exists():
    time.sleep(0.001)
try:
    remote.push(bundle)
    print(json.dumps(None))
except WeightpatchError as error:
    print(json.dumps(error.code))
"""
EIGHT = range(1, 9)


@pytest.mark.parametrize("transfer", ["xet"])
def test_of_eight_versions_each_is_there_or_was_refused(hub, hub_remote, bundle, tmp_path):
    sent = {number: bundle(number, seed=number).patch for number in EIGHT}
    begin = tmp_path / "begin"
    workers = {
        number: start(patch.files["patch.json"].parent, begin) for number, patch in sent.items()
    }
    for worker in workers.values():
        assert worker.stdout.readline() == "ready\n"
    begin.touch()

    ends = {number: answer(worker) for number, worker in workers.items()}

    assert set(ends.values()) <= {None, "E_RACE", "E_REFUSED"}, ends
    there = [number for number, code in ends.items() if code is None]
    assert ends[8] != "E_REFUSED"
    assert there == hub_remote.versions("acme/tongues")
    for number in there:
        assert hub_remote.holds(
            "acme/tongues", number, sent[number].files["patch.json"].read_bytes()
        )
        into = tmp_path / f"pulled-{number}"
        into.mkdir()
        assert hub_remote.pull("acme/tongues", number, into).patch.digest == sent[number].digest


def start(folder, begin):
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", PUSH, folder, begin],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def answer(worker):
    said, wrong = worker.communicate()
    assert worker.returncode == 0, wrong
    return json.loads(said.splitlines()[-1])
