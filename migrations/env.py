"""Alembic's entry: one connection, one lock, so that two starting containers do not migrate at once."""

from alembic import context
from sqlalchemy import create_engine, pool, text

from payonce.adapters.postgres import tcp_settings

#: Any constant: every migration run of payonce takes this advisory lock.
_MIGRATION_LOCK = 7_201_984

engine = create_engine(context.config.attributes["database_url"], poolclass=pool.NullPool)
with engine.connect() as connection:
    for name, value in tcp_settings().items():  # a host that is lost while it migrates must not keep the tables locked
        connection.execute(text("SELECT set_config(:name, :value, false)"), {"name": name, "value": str(value)})
    connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _MIGRATION_LOCK})
    connection.commit()
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
