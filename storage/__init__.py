"""The only SQL: schema, migrations, API tokens, ledger, conversations. Imports no other room of the house."""
