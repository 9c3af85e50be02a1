"""Alembic's entry: migrate over the connection that `storage.schema` hands in, inside its transaction."""

from alembic import context

from storage.models import Base

connection = context.config.attributes["connection"]
if connection is None:
    raise RuntimeError("Migrations run through storage.Database.upgrade, which brings the connection.")

context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite changes a table by rebuilding it
    compare_server_default=True,
)
with context.begin_transaction():
    context.run_migrations()
