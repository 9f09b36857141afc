"""Processes that publish at once into one registry, beside what disk and database cost alone."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psycopg
from sqlalchemy import URL
from weightpatch.registry.registry import Registry

from . import crowd, databases, drafts
from .crowd import Crowd
from .databases import POSTGRESQL, SQLITE

CROWDS = {1: 200, 8: 800, 32: 800}
"""Steps of all processes together, by the number of processes."""

OURS, FLOOR, MLFLOW = "weightpatch", "floor", "mlflow"
TABLE = "CREATE TABLE bare (id {} PRIMARY KEY, digest TEXT NOT NULL)"


@dataclass(frozen=True)
class Published:
    """One contender on one database: what its processes did, and what is in the database then.

    `gaps` counts numbers that are missing among the versions of a patch, or are given twice;
    `lost` steps that went well and left nothing. Both are None where nothing is promised.
    """

    contender: str
    dialect: str
    processes: int
    done: Crowd
    gaps: int | None = None
    lost: int | None = None
    ledger_ok: bool | None = None


def measure(work: Path) -> tuple[list[Published], str]:
    """Every contender on both databases with 1, 8 and 32 processes; and PostgreSQL's version."""
    folder = work / "drafts"
    drafts.prepare(folder, max(CROWDS.values()))
    runs = work / "runs"
    shutil.rmtree(runs, ignore_errors=True)
    found = []
    with databases.postgresql(work / "postgresql") as server:
        version = databases.versions_of(server)
        for processes in CROWDS:
            for dialect in databases.DIALECTS:
                for one in _contenders(dialect, processes, folder, runs, server):
                    _tell(one)
                    found.append(one)
    shutil.rmtree(runs)
    return found, version


def _contenders(
    dialect: str, processes: int, folder: Path, runs: Path, server: URL
) -> Iterator[Published]:
    work = runs / f"{dialect}-{processes}"
    yield _bare(dialect, processes, work / "bare", server)
    yield _publish(dialect, processes, folder, work / "home", server)
    if find_spec("mlflow") is not None:
        yield _mlflow(dialect, processes, work / "mlflow", server)


def _publish(dialect: str, processes: int, folder: Path, home: Path, server: URL) -> Published:
    url = None if dialect == SQLITE else _text(databases.new_database(server, f"ours{processes}"))
    with Registry.create(url, home=home, actor="bench"):
        pass
    each = CROWDS[processes] // processes
    arguments = [(url or "-", home, folder, i * each, each) for i in range(processes)]
    done = crowd.run("publish.py", arguments)
    with Registry.open(url, home=home, actor="bench") as registry:
        numbers = _numbers(registry)
        report = registry.verify_ledger()
    total = sum(map(len, numbers.values()))
    gaps = sum(len(set(found) ^ set(range(1, len(found) + 1))) for found in numbers.values())
    return Published(
        OURS, dialect, processes, done, gaps, len(done.seconds) - total, ledger_ok=report.ok
    )


def _numbers(registry: Registry) -> dict[str, list[int]]:
    """The numbers of all versions, by patch."""
    numbers: dict[str, list[int]] = {}
    for patch in range(drafts.PATCHES):
        name = f"bench/fact-{patch}"
        numbers[name] = [info.version for info in registry.versions(name=name, limit=1000)]
    return numbers


def _bare(dialect: str, processes: int, folder: Path, server: URL) -> Published:
    folder.mkdir(parents=True)
    if dialect == SQLITE:
        place = str(folder / "bare.db")
        with closing(sqlite3.connect(place)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(TABLE.format("INTEGER"))
    else:
        place = databases.dsn(databases.new_database(server, f"bare{processes}"))
        with psycopg.connect(place) as connection:
            connection.execute(TABLE.format("BIGINT GENERATED ALWAYS AS IDENTITY"))
    each = CROWDS[processes] // processes
    arguments = [(place, folder / str(i), each) for i in range(processes)]
    return Published(FLOOR, dialect, processes, crowd.run("bare.py", arguments))


def _mlflow(dialect: str, processes: int, folder: Path, server: URL) -> Published:
    folder.mkdir(parents=True)
    url = f"sqlite:///{folder / 'mlflow.db'}"
    if dialect == POSTGRESQL:
        url = _text(databases.new_database(server, f"mlflow{processes}"))
    crowd.run("mlflow_versions.py", [(url, 0, 0)])
    each = CROWDS[processes] // processes
    done = crowd.run("mlflow_versions.py", [(url, i * each, each) for i in range(processes)])
    return Published(MLFLOW, dialect, processes, done)


def _text(url: URL) -> str:
    return url.render_as_string(hide_password=False)


def _tell(one: Published) -> None:
    done = one.done
    print(
        f"  {one.processes:2} processes  {one.dialect:10}  {one.contender:11}"
        f"  {done.rate:7.1f}/s  median {done.median * 1e3:7.1f} ms  p99 {done.p99 * 1e3:7.1f} ms"
        f"  worst {done.worst * 1e3:7.1f} ms  {len(done.errors)} errors",
        flush=True,
    )
