"""How Alembic reaches the database: by the connection that it is given, or by `-x url=…`.

Alembic loads this file by its path, outside the package, so its imports are absolute.
"""

from pathlib import Path

from alembic import context
from alembic.util import CommandError
from sqlalchemy import Connection, Engine
from weightpatch.registry.database import triggers
from weightpatch.registry.database.connections import Database, locate
from weightpatch.registry.database.schema import metadata


def run(connection: Connection) -> None:
    """Run what was asked for in one transaction, and make the triggers anew.

    SQLite rebuilds a table without its triggers, and without a word.
    """
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()
        triggers.install(connection)


given = context.config.attributes.get("connection")
if isinstance(given, Connection):
    run(given)
elif isinstance(given, Engine):
    with given.connect() as opened:
        run(opened)
else:
    url = context.get_x_argument(as_dictionary=True).get("url")
    if url is None:
        raise CommandError("say which database it is: alembic -x url=sqlite:////folder/registry.db")
    with Database(locate(url, Path.cwd())).migrating() as opened:
        run(opened)
