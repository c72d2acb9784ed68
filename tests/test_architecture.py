"""Who may import whom. The arrows are those of the house; one import against them fails here, by name."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("parley", "bot", "api", "generation", "storage")

ARROWS: dict[str, tuple[str, ...]] = {
    "parley": ("bot", "api", "generation", "storage"),
    "bot": ("storage", "api.contract"),
    "api": ("generation", "storage"),
    "generation": (),
    "storage": (),
}


def imported_names(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the arrow"
            assert node.module is not None
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def breaches(room: str, source: str) -> list[str]:
    allowed = (*ARROWS[room], room)
    return [
        name
        for name in imported_names(source)
        if name.split(".")[0] in {*ROOMS, "models", "tests"}
        and not any(name == target or name.startswith(f"{target}.") for target in allowed)
    ]


@pytest.mark.parametrize("room", ROOMS)
def test_no_import_runs_against_the_arrows(room: str) -> None:
    modules = sorted((ROOT / room).rglob("*.py"))
    assert modules
    found = {str(path.relative_to(ROOT)): breaches(room, path.read_text("utf-8")) for path in modules}
    assert {path: names for path, names in found.items() if names} == {}


def test_a_breach_would_be_found() -> None:
    assert breaches("bot", "from api.app import create_app") == ["api.app.create_app"]
    assert breaches("storage", "import generation.engine") == ["generation.engine"]
    assert breaches("bot", "from api.contract import ChatRequest\nfrom storage.tokens import TokenStore") == []


def test_the_contract_imports_pydantic_and_nothing_else_of_this_project() -> None:
    names = imported_names((ROOT / "api/contract.py").read_text("utf-8"))
    assert {name.split(".")[0] for name in names} == {"math", "datetime", "typing", "pydantic"}


def test_engines_and_databases_are_never_imported_by_the_service_or_the_bot() -> None:
    heavy = {"xllamacpp", "ctransformers", "sqlalchemy", "aiosqlite", "asyncpg", "gguf"}
    for room in ("api", "bot"):
        for path in (ROOT / room).rglob("*.py"):
            assert {name.split(".")[0] for name in imported_names(path.read_text("utf-8"))} & heavy == set(), path
