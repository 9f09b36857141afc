"""What pytest-alembic needs: where the migrations are, and a database to run them on."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine
from weightpatch.registry.database.connections import Database, locate
from weightpatch.registry.database.migrate import SCRIPTS


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(locate(None, tmp_path))
    yield opened
    opened.close()


@pytest.fixture
def alembic_config() -> dict[str, str]:
    return {"script_location": str(SCRIPTS)}


@pytest.fixture
def alembic_engine(database: Database) -> Engine:
    return database.engine
