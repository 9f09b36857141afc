"""What all tables belong to, how their constraints are named, and how a row is numbered."""

from sqlalchemy import BigInteger, Integer, MetaData

MAX_LOCATION = 650
"""Characters of a path or address, of 4 bytes at most: an index of PostgreSQL holds 2,704 bytes."""

ID = BigInteger().with_variant(Integer(), "sqlite")

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)
