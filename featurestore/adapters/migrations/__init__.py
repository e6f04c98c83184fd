"""Alembic migrations of the state's tables. Old ones are never edited: a change is a new one."""
