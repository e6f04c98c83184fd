"""What Alembic runs to migrate: everything happens in the transaction that `sql_database.upgrade` opened."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table=context.config.attributes["version_table"],
)
context.run_migrations()
