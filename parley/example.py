"""Writes what is generated from the code: `.env.example` and the engine table of the README.

`python -m parley.example`, in the project's folder. Tests keep both in step with the code.
"""

from pathlib import Path

from api.abilities import table
from generation.abilities import ABILITIES
from parley.settings import example

TABLE_START, TABLE_END = "<!-- engines -->\n", "<!-- /engines -->\n"


def with_table(readme: str) -> str:
    """Put the present engine table between its marks."""
    before, _, rest = readme.partition(TABLE_START)
    _, _, after = rest.partition(TABLE_END)
    return before + TABLE_START + table(ABILITIES.values()) + TABLE_END + after


if __name__ == "__main__":
    Path(".env.example").write_text(example(), "utf-8")
    readme = Path("README.md")
    readme.write_text(with_table(readme.read_text("utf-8")), "utf-8")
