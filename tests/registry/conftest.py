"""A registry in the test's folder, and patches of a pico model to put into it."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from weightpatch.patches.digests import sha256
from weightpatch.patches.evaluation.base import Evaluation, Score
from weightpatch.patches.format.manifest import (
    BaseRecord,
    Manifest,
    MethodRecord,
    OperationRecord,
    TensorRecord,
)
from weightpatch.patches.format.patch import Draft, Patch, write_files
from weightpatch.patches.operations.lowrank import LowRank
from weightpatch.patches.requests import EditRequest
from weightpatch.registry.database import triggers
from weightpatch.registry.registry import Event, Registry, Subject
from weightpatch.registry.sharing.exchange import push

TENSOR = "model.layers.0.mlp.down_proj.weight"
METHOD = MethodRecord(
    name="rome",
    version="1",
    hyperparameters={"layer": 0},
    seed=0,
    sampled={},
    statistics=(),
    device="cpu",
    tools={"numpy": "2"},
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def clock() -> Callable[[], datetime]:
    """A clock that is a second later each time it is asked."""
    ticks = iter(range(1_000_000))
    start = datetime(2026, 3, 3, 12, 0, 0, tzinfo=UTC)
    return lambda: start + timedelta(seconds=next(ticks))


@pytest.fixture
def registry(url: str | None, home: Path, clock, new_registry) -> Iterator[Registry]:
    """A new registry; a test that uses it runs on SQLite and on PostgreSQL."""
    make = new_registry if url is None else partial(Registry.create, url)
    with make(home=home, actor="ada", now=clock) as opened:
        yield opened


@pytest.fixture
def reopen(registry: Registry, url: str | None, home: Path) -> Callable[..., Registry]:
    """Open the same registry once more, by another actor if one is named."""
    return lambda actor="ada", **options: Registry.open(url, home=home, actor=actor, **options)


@pytest.fixture
def enter() -> Callable[..., None]:
    """Write an entry into a registry's ledger and nothing else, as no verb of a registry does."""

    def append(
        registry: Registry,
        action: str,
        label: str,
        digest: str | None = None,
        detail: dict[str, object] | None = None,
    ) -> None:
        store = registry._store
        with store.database.writing() as connection:
            store.ledger.append(connection, Event(action), Subject(label, digest), detail)

    return append


@pytest.fixture
def make_draft(tmp_path_factory) -> Callable[..., Draft]:
    """Make a draft; another `seed` is another delta, all else are fields of manifest or request."""

    def make(
        name: str = "acme/tongues",
        *,
        seed: int = 0,
        subject: str = "Danielle Darrieux",
        base_id: str = "pico",
        revision: str | None = None,
        case: str = "1",
        target: str = "English",
        **fields: object,
    ) -> Draft:
        folder = tmp_path_factory.mktemp("draft")
        random = np.random.default_rng(seed)
        operation = LowRank.snapped(random.normal(size=(6, 1)), random.normal(size=(1, 4)))
        request = EditRequest("The mother tongue of {} is", subject, target, "French", id=case)
        files = write_files(folder, {TENSOR: [operation]}, {}, [request])
        base = BaseRecord(
            id=base_id,
            revision=revision,
            tokenizer=None,
            tensors={TENSOR: TensorRecord("F32", (6, 4), sha256(b"base"))},
            result={TENSOR: sha256(f"result {seed}".encode())},
        )
        manifest = Manifest(
            name=name,
            version=1,
            bases=(base,),
            operations={TENSOR: (OperationRecord("lowrank", 1, operation.norm(), 0.01),)},
            files=files,
            method=METHOD,
            created="2026-03-03T11:00:00Z",
            author="ada",
            licence="CC0-1.0",
            message="",
        )
        return Draft(replace(manifest, **fields), folder)

    return make


@pytest.fixture
def make_patch(make_draft) -> Callable[..., Patch]:
    """Make a version as it would come from somewhere else: a folder with its patch.json."""

    def make(name: str = "acme/tongues", version: int = 1, **fields: object) -> Patch:
        draft = make_draft(name, **fields)
        (draft.folder / "patch.json").write_bytes(draft.numbered(version).to_bytes())
        return Patch.open(draft.folder)

    return make


@pytest.fixture
def theirs(tmp_path, new_registry):
    """Somebody else's registry."""
    with new_registry(tmp_path / "theirs", actor="bob") as opened:
        yield opened


@pytest.fixture
def three(theirs, tmp_path, make_draft) -> Path:
    """A folder with three versions of acme/tongues, pushed there by somebody else."""
    folder = tmp_path / "three"
    for seed in range(3):
        push(theirs, theirs.publish(make_draft(seed=seed)).label, str(folder))
    return folder


@pytest.fixture
def make_evaluation() -> Callable[..., Evaluation]:
    def make(after: float = 1.0, case: str = "1") -> Evaluation:
        return Evaluation(
            suite="requests",
            suite_digest=sha256(b"cases"),
            definitions={"locality.exact-match": "Locality.", "rome.es": "Efficacy score."},
            scores=(
                Score(case, "locality.exact-match", None, 1.0, 3),
                Score(case, "rome.es", 0.0, after, 1),
                Score("2", "rome.es", 0.5, 0.75, 4),
            ),
            environment={"device": "cpu", "torch": "2.13.0"},
        )

    return make


@pytest.fixture
def foreign_connection(url: str | None, home: Path) -> Iterator[Callable[..., Any]]:
    """Transactions in the database as any other program would run them, with no settings of ours.

    On a server all are of one connection, since each new one starts a process there.
    """

    @contextmanager
    def on_sqlite() -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(home / "registry.db")) as connection, connection:
            yield connection

    if url is None:
        yield on_sqlite
        return
    address = url.replace("postgresql+psycopg", "postgresql")
    with psycopg.connect(address, autocommit=True, prepare_threshold=None) as connection:

        @contextmanager
        def on_postgresql() -> Iterator[psycopg.Connection]:
            with connection.transaction():
                yield connection

        yield on_postgresql


@pytest.fixture
def sql(url: str | None, foreign_connection) -> Callable[..., list[tuple]]:
    """Run SQL, with ? for parameters, in a transaction of its own."""

    def run(statement: str, *parameters: object) -> list[tuple]:
        with foreign_connection() as connection:
            if url is not None:
                statement = statement.replace("?", "%s")
            cursor = connection.execute(statement, parameters or None if url else parameters)
            return cursor.fetchall() if cursor.description else []

    return run


@pytest.fixture
def script(url: str | None, foreign_connection) -> Callable[[Iterable[str]], None]:
    """Run statements as `sql` does, all in one transaction."""

    def run(statements: Iterable[str]) -> None:
        with foreign_connection() as connection:
            if url is None:
                connection.execute("BEGIN")
            for statement in statements:
                connection.execute(statement)

    return run


@pytest.fixture
def tamper(registry, sql):
    """Run SQL as somebody who takes the triggers away before, and puts them back."""

    def run(statement: str, *parameters: object) -> None:
        database = registry._store.database
        with database.writing() as connection:
            triggers.remove(connection)
        sql(statement, *parameters)
        with database.writing() as connection:
            triggers.install(connection)

    return run
