"""Alembic's environment; `storage.migrating` starts it."""
