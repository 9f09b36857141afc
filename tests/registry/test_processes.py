"""Many processes at once, and processes that are killed at every step."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from weightpatch.patches.digests import sha256
from weightpatch.registry.registry import Registry

PUBLISHER = """
import sys, time
from pathlib import Path
from weightpatch.patches.format.manifest import Manifest
from weightpatch.patches.format.patch import Draft
from weightpatch.registry.registry import Registry

home, start, *folders = map(Path, sys.argv[1:])
drafts = [
    Draft(Manifest.from_bytes((folder / "patch.json").read_bytes()), folder) for folder in folders
]
with Registry.open(home=home, actor="worker") as registry:
    print("ready", flush=True)
    while not start.exists():
        time.sleep(0.01)
    for draft in drafts:
        print(registry.publish(draft).version)
"""

CREATOR = """
import sys
from pathlib import Path
from weightpatch.registry.registry import Registry

with Registry.create(home=Path(sys.argv[1]), actor="worker") as registry:
    assert registry.verify_ledger().ok
"""

KILLED = """
import io, json, os, signal, sqlite3, sys
from pathlib import Path
from weightpatch.patches.format.manifest import Manifest
from weightpatch.patches.format.patch import Draft
from weightpatch.registry.registry import Registry

SYSTEM = {"open", "fsync", "chmod", "replace", "unlink", "mkdir"}
OBJECTS = (io.BufferedWriter, sqlite3.Connection, sqlite3.Cursor)

def is_step(function):
    if isinstance(function.__self__, OBJECTS):
        return function.__name__ != "close"
    return function.__module__ in ("posix", "_io") and function.__name__ in SYSTEM

home, *folders = map(Path, sys.argv[1:])

def publish(folder, last_step):
    "Publish in a child that is killed at its `last_step`-th call into the system or SQLite."
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    seen = 0
    def count(frame, event, function):
        nonlocal seen
        if event == "c_call" and is_step(function):
            seen += 1
            if seen == last_step:
                os.kill(os.getpid(), signal.SIGKILL)
    draft = Draft(Manifest.from_bytes((folder / "patch.json").read_bytes()), folder)
    with Registry.open(home=home, actor="worker") as registry:
        sys.setprofile(count)
        registry.publish(draft)
        sys.setprofile(None)
    os._exit(0)

outcomes = []
for step, folder in enumerate(folders, 1):
    outcomes.append(publish(folder, step))
    if outcomes[-1] == 0:
        break
print(json.dumps(outcomes))
"""


@pytest.fixture
def draft_folder(make_draft):
    """A draft as a folder that another process can read."""

    def make(name: str, seed: int) -> Path:
        draft = make_draft(name, seed=seed)
        (draft.folder / "patch.json").write_bytes(draft.manifest.to_bytes())
        return draft.folder

    return make


def test_16_processes_publish_at_once(registry, home, tmp_path, draft_folder):
    each, processes = 4, 16
    start = tmp_path / "start"
    workers = [
        subprocess.Popen(
            [
                sys.executable,
                "-c",
                PUBLISHER,
                home,
                start,
                *(draft_folder("acme/busy", worker * each + turn) for turn in range(each)),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for worker in range(processes)
    ]
    for worker in workers:
        assert worker.stdout.readline() == "ready\n", worker.stderr.read()
    start.touch()
    answers = [worker.communicate() for worker in workers]

    assert [worker.returncode for worker in workers] == [0] * processes, answers
    numbers = sorted(int(line) for answer, _ in answers for line in answer.split())
    assert numbers == list(range(1, processes * each + 1))
    assert [info.version for info in registry.versions(limit=100)] == numbers[::-1]
    report = registry.verify_ledger()
    assert (report.ok, report.sound) == (True, 1 + len(numbers))
    for number in numbers:
        assert registry.patch(f"acme/busy@{number}").requests


def test_8_processes_make_one_registry(home):
    creators = [
        subprocess.Popen([sys.executable, "-c", CREATOR, home], stderr=subprocess.PIPE, text=True)
        for _ in range(8)
    ]
    for creator in creators:
        assert creator.wait() == 0, creator.stderr.read()
        creator.stderr.close()
    with Registry.open(home=home, actor="ada") as registry:
        assert [entry.action for entry in registry.log()] == ["registry.create"]


def test_killed_at_every_step_it_is_there_whole_or_not_at_all(registry, home, draft_folder):
    folders = [draft_folder("acme/killed", seed) for seed in range(150)]
    answer = subprocess.run(
        [sys.executable, "-c", KILLED, home, *folders], check=True, capture_output=True, text=True
    )
    outcomes = json.loads(answer.stdout)
    assert set(outcomes[:-1]) == {-9}
    assert outcomes[-1] == 0
    assert len(outcomes) > 60

    versions = registry.versions(limit=300)
    assert [info.version for info in versions] == list(range(len(versions), 0, -1))
    report = registry.verify_ledger()
    assert (report.ok, report.sound) == (True, 1 + len(versions))
    for info in versions:
        patch = registry.patch(f"sha256:{info.digest}")
        assert patch.operations
        assert patch.requests
    for path in (home / "blobs").rglob("*"):
        assert path.is_dir() or path.name.startswith(".partial-") or whole(path)


def whole(blob: Path) -> bool:
    return sha256(blob.read_bytes()) == blob.name
