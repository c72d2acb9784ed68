"""What every test may use: the bundled demo model, loaded once for the whole run."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings

from generation.engine import Engine
from generation.launch import LlamaCppConfig
from generation.llama_cpp import LlamaCppEngine
from parley.demo_model import DEMO_NAME, demo_path
from tests import scratch
from tests.new_database import BACKENDS
from tests.postgresql_server import stop_if_running

SLOTS = 4

scratch.choose()

# No example is too slow: a machine that many share stalls when it likes.
settings.register_profile("parley", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("parley")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the tests of the API run on another database than SQLite."""
    parser.addoption("--database", choices=BACKENDS, default="sqlite", help="what the tests of the API run on")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def demo_engine() -> AsyncIterator[Engine]:
    """The real engine with the real demo model. Tests that use it run on the session's event loop."""
    engine = LlamaCppEngine(
        LlamaCppConfig(
            model_path=demo_path(),
            model_name=DEMO_NAME,
            context_tokens=4096,
            slots=SLOTS,
            threads=2,
            server_binary=None,
        )
    )
    await engine.start()
    yield engine
    await engine.close()


@pytest.fixture(scope="session", autouse=True)
def _development_mode_is_for_the_tests_alone() -> None:
    """Start what tests start as people start it. Not sooner: the processes that run the tests inherit the mode."""
    os.environ.pop("PYTHONDEVMODE", None)


@pytest.fixture(scope="session", autouse=True)
def _postgresql_ends_with_its_tests() -> Iterator[None]:
    """Stop the server that a test has started."""
    yield
    stop_if_running()


LONGEST_FIRST = (
    "generation/test_sampling_evidence.py",
    "parley/test_up.py",
    "parley/test_end_to_end.py",
    "api/test_fuzzing.py",
    "api/test_modelslab_forms.py",
    "soak/test_soak.py",
    "parley/test_commands.py",
    "parley/test_split.py",
    "parley/test_keeping.py",
)
"""What takes a minute and more; begun last, it would keep one worker busy when the others have nothing left."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the longest files begin first."""
    rank = {Path(__file__).parent / name: at for at, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: rank.get(item.path, len(rank)))


NO_BROWSER = "there is no browser: apt-get install chromium"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say so where the pages were not tried in a browser."""
    left_out = [each for each in terminalreporter.stats.get("skipped", []) if NO_BROWSER in str(each.longrepr)]
    if left_out:
        terminalreporter.section("NOT TRIED IN A BROWSER", sep="!", red=True, bold=True)
        terminalreporter.line(f"{len(left_out)} tests of the pages did not run, because {NO_BROWSER}", red=True)
