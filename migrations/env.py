"""Alembic's entry: one connection, one lock, so that two starting containers do not migrate at once."""

from alembic import context
from sqlalchemy import create_engine, pool, text

#: Any constant: every migration run of payonce takes this advisory lock.
_MIGRATION_LOCK = 7_201_984

engine = create_engine(context.config.attributes["database_url"], poolclass=pool.NullPool)
with engine.connect() as connection:
    connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _MIGRATION_LOCK})
    connection.commit()
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
