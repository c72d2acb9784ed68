"""Writes what is generated from the code: `.env.example` and the tables of engines and servers in the documentation.

`python -m parley.example`, in the project's folder. Tests keep all of it in step with the code.
"""

from pathlib import Path

from api.abilities import table
from generation.abilities import ABILITIES
from generation.remote.tables import SHOWN
from parley.settings import example

_WITHOUT_ROW = frozenset({"adapter", "mirostat_tau", "mirostat_eta"})
"""Names of a list are no option there; and what only steers another option is refused with that."""

TABLES = {
    "README.md": ("engines", table(ABILITIES.values())),
    "docs/scaling.md": ("servers", table(SHOWN, hides=_WITHOUT_ROW, tells_lacks=False)),
}
"""By file: the name of its marks, and what is to stand between them."""


def with_table(path: str, text: str) -> str:
    """Put the present table between the marks of a file."""
    mark, content = TABLES[path]
    start, end = f"<!-- {mark} -->\n", f"<!-- /{mark} -->\n"
    before, _, rest = text.partition(start)
    _, _, after = rest.partition(end)
    return before + start + content + end + after


if __name__ == "__main__":
    Path(".env.example").write_text(example(), "utf-8")
    for path in TABLES:
        Path(path).write_text(with_table(path, Path(path).read_text("utf-8")), "utf-8")
