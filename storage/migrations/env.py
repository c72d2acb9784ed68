"""What Alembic runs to apply the steps, in the transaction that `storage.migrating` hands over."""

from alembic import context

from storage.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
