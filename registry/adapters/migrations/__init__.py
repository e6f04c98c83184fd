"""Alembic migrations of the registry's tables. Old ones are never edited: a change is a new one."""
