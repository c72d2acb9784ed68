"""The process that draws one picture: `python -m bot.charts.child`.

Reads what `UsageChart.to_json` wrote from standard input, writes a PNG file to standard output, and ends. When it
fails it writes the kind and place of the fault instead, without any value, and ends with status 1.
"""

import sys

from bot.charts.drawer import FAILED
from bot.charts.series import UsageChart
from bot.faults import describe


def main() -> int:
    """Draw, and return the exit status."""
    try:
        picture = _draw(sys.stdin.buffer.read())
    except Exception as error:  # noqa: BLE001 - the border: the parent is told where, whatever it was
        sys.stdout.write(describe(error))
        return FAILED
    sys.stdout.buffer.write(picture)
    return 0


def _draw(document: bytes) -> bytes:
    import matplotlib as mpl  # noqa: PLC0415 - here, so that a fault in loading it is told to the parent too

    from bot.charts.picture import draw_usage  # noqa: PLC0415 - loads matplotlib

    # A person's own matplotlibrc is for that person's pictures.
    mpl.rcdefaults()
    chart = UsageChart.from_json(document)
    return draw_usage(chart.series, days=chart.days, labels=chart.labels, plain_labels=chart.plain_labels)


if __name__ == "__main__":
    sys.exit(main())
