"""Has pictures drawn in a process of its own.

Owns: starting it, its time limit, and that one picture is drawn at a time. Does not own: the picture (`picture.py`).

Drawing in a thread would hold the event loop, because matplotlib keeps Python's lock for long stretches. Measured with
twelve series on two cores: the loop stood still for up to 0.12 s, with both cores busy 0.39 s, and 80 MB stayed in the
service's memory. With a process it stood still for up to 0.01 s, with both cores busy 0.04 s, and nothing stayed.
"""

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from bot.charts.series import ChartLabels, UsageChart, UsageSeries

TIMEOUT_SECONDS = 30.0
"""Waiting for other pictures included. One takes a second on an idle machine, and up to seven on a busy one."""

_PNG = b"\x89PNG\r\n\x1a\n"
"""How the file begins: https://www.w3.org/TR/png-3/#5PNG-file-signature"""

FAILED = 1
"""Status of a process that gave the kind and place of a fault instead of a picture."""

_PASSED_ON = frozenset({"PATH", "HOME", "LANG", "TMPDIR", "TEMP", "TMP", "LD_LIBRARY_PATH", "PYTHONPATH", "SYSTEMROOT"})
_PASSED_ON_BEGINNINGS = ("LC_", "XDG_", "MPLCONFIGDIR", "FONTCONFIG_")
"""What finding fonts and libraries may need, and nothing that could be a secret."""


class ChartError(Exception):
    """There is no picture. The text names a place in the code, and never what was to be drawn."""


class ChartDrawer:
    """Draws pictures one after another."""

    def __init__(self, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._timeout_seconds = timeout_seconds
        self._turn = asyncio.Lock()

    async def draw_usage(
        self,
        series: Sequence[UsageSeries],
        *,
        days: Sequence[date],
        labels: ChartLabels,
        plain_labels: ChartLabels | None = None,
    ) -> bytes:
        """Return what `picture.draw_usage` does for the same arguments: a PNG file.

        Raises `ChartError` when there is no picture within the time limit, and `ValueError` when there is no day, or
        a series has not one number for each.
        """
        chart = UsageChart(series=tuple(series), days=tuple(days), labels=labels, plain_labels=plain_labels)
        try:
            async with asyncio.timeout(self._timeout_seconds), self._turn:
                return await _draw_aside(chart)
        except TimeoutError:
            raise ChartError(f"no picture within {self._timeout_seconds:g} s") from None


async def _draw_aside(chart: UsageChart) -> bytes:
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bot.charts.child"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            # matplotlib warns there about folders that it cannot write.
            stderr=asyncio.subprocess.DEVNULL,
            env=_environment(os.environ),
            # Ctrl-C in the terminal is for the parent.
            start_new_session=True,
        )
    except OSError as error:
        raise ChartError(f"no process to draw in: {type(error).__name__}") from error
    try:
        output, _ = await process.communicate(chart.to_json())
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
    if process.returncode == 0 and output.startswith(_PNG):
        return output
    said = output.decode(errors="replace") if process.returncode == FAILED else ""
    raise ChartError(f"drawing ended with status {process.returncode}: {said or 'no reason was given'}")


def _environment(inherited: Mapping[str, str]) -> dict[str, str]:
    kept = {
        name: value for name, value in inherited.items() if name in _PASSED_ON or name.startswith(_PASSED_ON_BEGINNINGS)
    }
    root = str(Path(__file__).resolve().parents[2])
    kept["PYTHONPATH"] = os.pathsep.join(filter(None, (root, kept.get("PYTHONPATH"))))
    # Nothing here computes much, and each idle thread of numpy's would reserve memory.
    kept["OPENBLAS_NUM_THREADS"] = "1"
    return kept
