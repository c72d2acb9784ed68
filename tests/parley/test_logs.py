"""The log's two forms."""

import json
import logging
import re
from collections.abc import Iterator

import pytest

from parley.logs import configure_logging


@pytest.fixture(autouse=True)
def _leave_the_log_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers, root.level = handlers, level


def test_json_lines_hold_the_fields_of_a_record(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(log_format="json")
    logging.getLogger("api.middleware").info("status=%d", 200, extra={"fields": {"status": 200, "tenant": "t1"}})
    logging.getLogger("parley").warning("two\nlines of %s", "Łódź")
    first, second = map(json.loads, capsys.readouterr().err.splitlines())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", first.pop("time"))
    assert first == {"level": "info", "logger": "api.middleware", "status": 200, "tenant": "t1"}
    assert (second["level"], second["message"]) == ("warning", "two\nlines of Łódź")


def test_json_lines_tell_an_exceptions_type_and_not_its_text(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(log_format="json")
    try:
        raise ValueError("what somebody wrote")
    except ValueError:
        logging.getLogger("bot").exception("a task failed")
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["error"] == "ValueError"
    assert "somebody" not in line


def test_text_is_the_default_and_libraries_stay_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging()
    logging.getLogger("parley").info("ready")
    logging.getLogger("discord").info("a heartbeat")
    (line,) = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"\S+ \S+ INFO    parley ready", line)
