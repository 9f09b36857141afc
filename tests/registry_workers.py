"""Processes that work on a registry beside the test's own.

Run as `python registry_workers.py WORK URL HOME ARGUMENT…`, with - for the database in the home
folder; the answer is a line of JSON. Several works, as `WORK URL HOME ARGUMENT… + WORK URL …`, are
done at once in processes of their own, which only share what was imported; the answer is a list. A
draft is a folder with its patch.json.
"""

import io
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from importlib import import_module
from itertools import groupby
from pathlib import Path
from types import FrameType
from typing import Any

from weightpatch.patches.digests import sha256
from weightpatch.patches.format.manifest import FileRecord, Manifest
from weightpatch.patches.format.patch import DELTA, REQUESTS, Draft
from weightpatch.patches.requests import EditRequest, dump_requests
from weightpatch.registry.blobs import BlobStore
from weightpatch.registry.registry import Registry

SYSTEM = {"open", "fsync", "chmod", "replace", "unlink", "mkdir", "utime"}
OBJECTS = (io.BufferedWriter, sqlite3.Connection, sqlite3.Cursor)
WIRE = ("psycopg.connection", "wait")
"""Module and function of psycopg through which every exchange with the server goes."""


def start(work: str, url: str | None, home: Path, *arguments: object) -> subprocess.Popen[str]:
    """Start a process that does one of the works below."""
    return subprocess.Popen(
        [sys.executable, __file__, work, url or "-", home, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def start_together(*works: Sequence[object]) -> subprocess.Popen[str]:
    """Start processes that each do one of the works below, with the arguments of `start`."""
    arguments: list[object] = []
    for work, url, home, *rest in works:
        arguments += ["+", work, url or "-", home, *rest]
    return subprocess.Popen(
        [sys.executable, __file__, *map(str, arguments[1:])],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def answer(worker: subprocess.Popen[str]) -> Any:
    """What a process answers, once it is done; it must have ended well."""
    said, wrong = worker.communicate()
    assert worker.returncode == 0, wrong
    return json.loads(said.splitlines()[-1])


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def read_draft(folder: str) -> Draft:
    return Draft(Manifest.from_bytes((Path(folder) / "patch.json").read_bytes()), Path(folder))


def publish(url: str | None, home: Path, begin: str, *folders: str) -> list[int]:
    """Publish drafts once the file `begin` is there; gives their numbers."""
    drafts = list(map(read_draft, folders))
    with Registry.open(url, home=home, actor="worker") as registry:
        say("ready")
        while not Path(begin).exists():
            time.sleep(0.01)
        return [registry.publish(draft).version for draft in drafts]


def create(url: str | None, home: Path) -> bool:
    """Make a registry."""
    with Registry.create(url, home=home, actor="worker") as registry:
        return registry.verify_ledger().ok


def churn(url: str | None, home: Path, seconds: str, folder: str) -> list[int]:
    """Publish drafts, each with requests of its own, and delete every other one.

    Gives how many were published and deleted.
    """
    published = deleted = 0
    end = time.monotonic() + float(seconds)
    with Registry.open(url, home=home, actor="worker") as registry:
        while time.monotonic() < end:
            info = registry.publish(fresh_draft(folder, published))
            published += 1
            if published % 2:
                registry.delete(info.label, reason="to make garbage")
                deleted += 1
    return [published, deleted]


def fresh_draft(folder: str, number: int) -> Draft:
    """The draft in a folder, under a new name and with requests that nobody else has."""
    draft, place = read_draft(folder), Path(tempfile.mkdtemp(dir=folder))
    shutil.copy(draft.folder / DELTA, place)
    request = EditRequest("The mother tongue of {} is", str(os.getpid()), str(number))
    data = dump_requests([request])
    (place / REQUESTS).write_bytes(data)
    files = {**draft.manifest.files, REQUESTS: FileRecord(sha256(data), len(data))}
    name = f"acme/p{os.getpid()}-{number}"
    return Draft(replace(draft.manifest, name=name, files=files), place)


def collect(url: str | None, home: Path, seconds: str) -> int:
    """Collect without any grace, again and again; gives how many blobs it took."""
    count, end = 0, time.monotonic() + float(seconds)
    with Registry.open(url, home=home, actor="collector") as registry:
        while time.monotonic() < end:
            count += len(registry.collect(grace=timedelta(), dry_run=False).items)
            time.sleep(0.02)
    return count


def killed_at_each_step(url: str | None, home: Path, work: str, *folders: str) -> list[int]:
    """Do a work in children, each killed one step later than the one before, until one is not.

    A step is a call into the system or SQLite, or the end of an exchange with a server.
    """
    with Registry.open(url, home=home, actor="worker") as registry:
        registry.collect()  # so that the children need not import what it takes
    outcomes = []
    for step, folder in enumerate(folders, 1):
        child = os.fork()
        if not child:
            _count_down(step, _KILLABLE[work](url, home, folder))
            os._exit(0)
        outcomes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        if outcomes[-1] == 0:
            break
    return outcomes


def _publish_one(url: str | None, home: Path, folder: str) -> Iterator[None]:
    draft = read_draft(folder)
    with Registry.open(url, home=home, actor="worker") as registry:
        yield
        registry.publish(draft)


def _collect_all(url: str | None, home: Path, _folder: str) -> Iterator[None]:
    for _ in range(2):
        BlobStore(home / "blobs").put_bytes(os.urandom(16))
    with Registry.open(url, home=home, actor="collector") as registry:
        yield
        registry.collect(grace=timedelta(), dry_run=False)


def _count_down(last_step: int, work: Iterator[None]) -> None:
    """Run what comes after the first `yield` of `work`, and die at a step of it."""
    seen = 0

    def count(frame: FrameType, event: str, function: object) -> None:
        nonlocal seen
        if (event == "c_call" and _is_call(function)) or (
            event == "return" and _is_exchange(frame)
        ):
            seen += 1
            if seen == last_step:
                os.kill(os.getpid(), signal.SIGKILL)

    next(work)
    sys.setprofile(count)
    for _ in work:
        pass
    sys.setprofile(None)


def _is_call(function: object) -> bool:
    if isinstance(function.__self__, OBJECTS):
        return function.__name__ != "close"
    return function.__module__ in ("posix", "_io") and function.__name__ in SYSTEM


def _is_exchange(frame: FrameType) -> bool:
    return (frame.f_globals.get("__name__"), frame.f_code.co_name) == WIRE


_KILLABLE = {"publish": _publish_one, "collect": _collect_all}
_WORKS = {work.__name__: work for work in (publish, create, churn, collect, killed_at_each_step)}


def do(work: str, url: str, home: str, *arguments: str) -> object:
    """Do a work; gives its answer."""
    return _WORKS[work](None if url == "-" else url, Path(home), *arguments)


def do_together(works: list[list[str]]) -> list[object]:
    """Do each work in a child; gives their answers, and ends all if one of them fails."""
    for name in ("alembic.command", "psycopg"):
        import_module(name)
    children: dict[int, int] = {}
    for work in works:
        reader, writer = os.pipe()
        if not (child := os.fork()):
            os.write(writer, json.dumps(do(*work)).encode())
            os._exit(0)
        os.close(writer)
        children[child] = reader
    running = set(children)
    while running:
        child, status = os.wait()
        running.remove(child)
        if status:
            for other in running:
                os.kill(other, signal.SIGKILL)
            sys.exit(f"{works[list(children).index(child)]} ended with status {status}")
    return [json.loads(os.read(reader, 1 << 16)) for reader in children.values()]


def main(arguments: list[str]) -> None:
    works = [list(work) for is_end, work in groupby(arguments, "+".__eq__) if not is_end]
    say(json.dumps(do(*works[0]) if len(works) == 1 else do_together(works)))


if __name__ == "__main__":
    main(sys.argv[1:])
