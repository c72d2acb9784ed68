"""What Alembic runs to apply the steps, in the transaction that `storage.migrating` hands over."""

from alembic import context

import storage.bot_schema  # noqa: F401 - its tables are in the metadata, too
from storage.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
