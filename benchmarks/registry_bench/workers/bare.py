"""The floor: `bare.py SQLITE_FILE|postgresql://… FOLDER COUNT`.

Each step writes as many files to the disk as a publish, and one row, and does nothing else.
"""

import os
import sqlite3
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psycopg
from gate import work

FILES = 3
DATA = bytes(1024)
INSERT = "INSERT INTO bare (digest) VALUES ('0123456789abcdef')"


def main() -> None:
    place, folder = sys.argv[1], Path(sys.argv[2])
    folder.mkdir(parents=True)
    insert = _server(place) if "://" in place else _file(place)
    steps = (partial(_step, folder, number, insert) for number in range(int(sys.argv[3])))
    work(steps, (sqlite3.Error, psycopg.Error, OSError))


def _step(folder: Path, number: int, insert: Callable[[], None]) -> None:
    for which in range(FILES):
        _write(folder, f"{number}-{which}")
    insert()


def _write(folder: Path, name: str) -> None:
    partly = folder / f".{name}"
    with partly.open("xb") as file:
        file.write(DATA)
        file.flush()
        os.fsync(file.fileno())
    partly.rename(folder / name)
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def _file(place: str) -> Callable[[], None]:
    connection = sqlite3.connect(place, isolation_level=None)
    for pragma in ("busy_timeout=30000", "journal_mode=WAL", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")

    def insert() -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(INSERT)
        connection.execute("COMMIT")

    return insert


def _server(place: str) -> Callable[[], None]:
    connection = psycopg.connect(place)

    def insert() -> None:
        connection.execute(INSERT)
        connection.commit()

    return insert


if __name__ == "__main__":
    main()
