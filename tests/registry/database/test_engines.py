"""Engines are patient where several processes open a database at the same time."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Barrier

from sqlalchemy import text
from weightpatch.registry.database.engines import sqlite_engine


def test_several_may_turn_a_database_to_wal_at_once(tmp_path):
    everybody = Barrier(8)

    def read(file):
        engine = sqlite_engine(file)
        everybody.wait()
        with engine.connect() as connection:
            rows = connection.scalar(text("SELECT count(*) FROM thing"))
        engine.dispose()
        return rows

    for number in range(20):
        file = tmp_path / f"{number}.db"
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("CREATE TABLE thing (name)")
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(read, [file] * 8)) == [0] * 8
