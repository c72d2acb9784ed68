"""Webhooks: replies sent to an address of the caller's choice, and every care that such an address needs."""
