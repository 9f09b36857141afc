"""What pytest-alembic needs: where the migrations are, and an empty database of either kind."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine
from weightpatch.registry.database.connections import Database, locate
from weightpatch.registry.database.migrate import SCRIPTS


@pytest.fixture
def url(dialect: str, request: pytest.FixtureRequest) -> str | None:
    """A database with nothing in it: a file in the test's folder, or one of a server."""
    if dialect == "sqlite":
        return None
    return request.getfixturevalue("empty_postgresql").render_as_string(hide_password=False)


@pytest.fixture
def database(url: str | None, tmp_path: Path) -> Iterator[Database]:
    opened = Database(locate(url, tmp_path))
    yield opened
    opened.close()


@pytest.fixture
def alembic_config() -> dict[str, str]:
    return {"script_location": str(SCRIPTS)}


@pytest.fixture
def alembic_engine(database: Database) -> Engine:
    return database.engine
