"""One cog per feature; `bot/client.py` puts them together."""
