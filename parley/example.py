"""Writes `.env.example` from the settings: `python -m parley.example`. A test keeps the two in step."""

from pathlib import Path

from parley.settings import example

if __name__ == "__main__":
    Path(".env.example").write_text(example(), "utf-8")
