"""The history of the registry's tables, run by Alembic; it ships in the wheel."""
