"""The picture of `/developer usage`: calls and LLM tokens per day, as stacked bars with a legend.

Owns: how it looks. Imports matplotlib, which takes half a second and 80 MB, so the service never imports this module:
`drawer.py` runs it in a process of its own. Does not own: which letters can be drawn (`lettering.py`).

Discord shows a picture about 400 pixels wide on a phone, on white or on nearly black. So everything is drawn large, on
a dark card of its own that reads well on both. All measures are pixels of the picture, from its top left corner.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from io import BytesIO
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bot.charts.lettering import Lettering
from bot.charts.scale import axis_step, short_number
from bot.charts.series import ChartLabels, UsageChart, UsageSeries, pick_drawn, sum_of_series
from bot.charts.sheet import Sheet

WIDTH = 1000
_MARGIN = 44
_RIGHT = WIDTH - _MARGIN
_PLOT_LEFT = 132
_HEADING_HEIGHT = 84
_PLOT_HEIGHT = 240
_DATES_BELOW = 44
_PANEL_HEIGHT = 422
"""Heading, plot, the dates below it, and air."""
_LEGEND_ROW_HEIGHT = 54
_SWATCH = 30

_HEADING, _TEXT = 38, 29
"""Sizes of letters."""

_CARD, _GRID, _BASELINE = "#1E1F22", "#34363C", "#80848E"
_BRIGHT, _QUIET = "#F2F3F5", "#B5BAC1"

_COLOURS = ("#56B4E9", "#E69F00", "#0072B2", "#F0E442", "#CC79A7", "#F2F0EA", "#009E73", "#D55E00")
"""Okabe and Ito's, their black made white for the dark card (https://jfly.uni-koeln.de/color/), in an order that keeps
neighbours apart for every kind of colour blindness."""
_PLAIN_COLOURS = 4
"""The colours after these are hatched, so that no two of one kind look alike."""
_OTHERS_COLOUR = "#6B6F78"

_BAR_WIDTH = 0.78
_FEWEST_PLACES = 10
"""Bars are never wider than if there were so many days."""
_MOST_SINGLE_DATES = 14
"""Up to so many days, dates stand a few days apart; beyond, whole weeks."""


@dataclass(frozen=True, slots=True)
class _Layer:
    """One series as it is drawn, its name in letters that can be; `fill` is what matplotlib fills its bars with."""

    series: UsageSeries
    fill: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Panel:
    """One of the two plots: a tuple of numbers, one per day, and a fill for each layer, lowest first."""

    heading: str
    numbers: Sequence[tuple[int, ...]]
    fills: Sequence[dict[str, Any]]


def draw_usage(
    series: Sequence[UsageSeries],
    *,
    days: Sequence[date],
    labels: ChartLabels,
    plain_labels: ChartLabels | None = None,
) -> bytes:
    """Return the picture as a PNG file, 1,000 pixels wide and about as high.

    `series` are in the order of the legend, `days` oldest first. `plain_labels` are the same words in letters that
    every installation can draw, used where `labels` cannot be. Raises `ValueError` when there is no day, or a series
    has not one number for each.
    """
    chart = UsageChart(series=tuple(series), days=tuple(days), labels=labels, plain_labels=plain_labels)
    file = BytesIO()
    build_figure(chart).savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def build_figure(chart: UsageChart) -> Figure:
    """Lay the picture out, ready to be saved."""
    lettering = Lettering([*(each.name for each in chart.series), *chart.labels.words()])
    labels = chart.labels
    if chart.plain_labels is not None and not all(map(lettering.can_draw, labels.words())):
        labels = chart.plain_labels
    layers = _layers(chart, others=labels.others, lettering=lettering)
    columns = 1 if len(layers) <= 3 else 2
    legend_top = _MARGIN + 2 * _PANEL_HEIGHT
    legend_height = -(-len(layers) // columns) * _LEGEND_ROW_HEIGHT
    sheet = Sheet(WIDTH, legend_top + legend_height + _MARGIN // 2, colour=_CARD, lettering=lettering)
    fills = [layer.fill for layer in layers]
    calls = _Panel(labels.calls_per_day, [layer.series.calls for layer in layers], fills)
    tokens = _Panel(labels.llm_tokens_per_day, [layer.series.llm_tokens for layer in layers], fills)
    _draw_panel(sheet, _MARGIN, calls, days=chart.days, labels=labels)
    _draw_panel(sheet, _MARGIN + _PANEL_HEIGHT, tokens, days=chart.days, labels=labels)
    _draw_legend(sheet, legend_top, layers, columns=columns)
    return sheet.figure


def _layers(chart: UsageChart, *, others: str, lettering: Lettering) -> list[_Layer]:
    """Return what is stacked, lowest first."""
    drawn, summed = pick_drawn(chart.series)
    layers: list[_Layer] = []
    for place, colour in zip(drawn, _COLOURS, strict=False):
        series = chart.series[place]
        # A name of which nothing can be read becomes its number among the series.
        named = replace(series, name=lettering.drawable(series.name) or f"#{place + 1}")
        hatch = {"hatch": "///", "edgecolor": _CARD} if len(layers) >= _PLAIN_COLOURS else {}
        layers.append(_Layer(named, {"facecolor": colour, "linewidth": 0, **hatch}))
    if summed:
        rest = sum_of_series(f"{others} ({len(summed)})", [chart.series[place] for place in summed])
        layers.append(_Layer(rest, {"facecolor": _OTHERS_COLOUR, "linewidth": 0}))
    return layers


def _draw_panel(sheet: Sheet, top: int, panel: _Panel, *, days: Sequence[date], labels: ChartLabels) -> None:
    total = short_number(sum(map(sum, panel.numbers)), decimal_mark=labels.decimal_mark)
    summary = labels.total.format(number=total)
    heading_font, font = sheet.font(_HEADING, is_bold=True), sheet.font(_TEXT)
    heading_width = _RIGHT - _MARGIN - 2 * _TEXT - round(sheet.measure(summary, font))
    heading = sheet.shorten(panel.heading, font=heading_font, width=heading_width)
    sheet.write(_MARGIN, top + _HEADING, heading, font=heading_font, colour=_BRIGHT)
    sheet.write(_RIGHT, top + _HEADING, summary, font=font, colour=_QUIET, side="right")
    plot_top = top + _HEADING_HEIGHT
    plot_bottom = plot_top + _PLOT_HEIGHT
    axes = sheet.plot(_PLOT_LEFT, plot_top, _RIGHT, plot_bottom)
    highest = max(map(sum, zip(*panel.numbers, strict=True)), default=0)
    _draw_scale(sheet, axes, highest, plot_bottom=plot_bottom, decimal_mark=labels.decimal_mark)
    _draw_dates(sheet, axes, days, baseline=plot_bottom + _DATES_BELOW, labels=labels)
    if highest:
        _draw_bars(axes, panel)
    else:
        middle = (_PLOT_LEFT + _RIGHT) // 2, plot_top + _PLOT_HEIGHT // 2
        sheet.write(*middle, labels.nothing_used, font=font, colour=_QUIET, side="center")


def _draw_scale(sheet: Sheet, axes: Axes, highest: int, *, plot_bottom: int, decimal_mark: str) -> None:
    """Draw a line at each of a few round numbers, from zero to the first that no bar passes."""
    step = axis_step(highest)
    lines = range(0, highest + step, step) if highest else range(1)
    axes.set_ylim(0, float(lines[-1] or 1))
    for place, line in enumerate(lines):
        axes.axhline(float(line), color=_GRID if line else _BASELINE, linewidth=1.5, zorder=0, clip_on=False)
        height = place * _PLOT_HEIGHT // max(1, len(lines) - 1)
        name = short_number(line, decimal_mark=decimal_mark)
        baseline = plot_bottom - height + _TEXT // 3
        sheet.write(_PLOT_LEFT - _TEXT // 2, baseline, name, font=sheet.font(_TEXT), colour=_QUIET, side="right")


def _draw_dates(sheet: Sheet, axes: Axes, days: Sequence[date], *, baseline: int, labels: ChartLabels) -> None:
    """Name the newest day and every few days before it, as far as the names do not touch."""
    places = max(len(days), _FEWEST_PLACES)
    first = (len(days) - places) / 2 - 0.5
    axes.set_xlim(first, first + places)
    font = sheet.font(_TEXT)
    every = -(-places // 5) if places <= _MOST_SINGLE_DATES else -(-places // 35) * 7
    free_until = float(_RIGHT)
    for place in range(len(days) - 1, -1, -every):
        name = labels.name_day(days[place])
        width = sheet.measure(name, font)
        middle = _PLOT_LEFT + (place - first) / places * (_RIGHT - _PLOT_LEFT)
        # The newest day's name would reach over the edge of the plot.
        right = min(middle + width / 2, _RIGHT)
        if right <= free_until:
            sheet.write(round(right), baseline, name, font=font, colour=_QUIET, side="right")
            free_until = right - width - _TEXT


def _draw_bars(axes: Axes, panel: _Panel) -> None:
    below: tuple[int, ...] = (0,) * len(panel.numbers[0])
    for heights, fill in zip(panel.numbers, panel.fills, strict=True):
        # Added up as whole numbers, drawn as floats: matplotlib's own whole numbers end at 64 bits.
        axes.bar(range(len(heights)), tuple(map(float, heights)), _BAR_WIDTH, tuple(map(float, below)), **fill)
        below = tuple(map(sum, zip(below, heights, strict=True)))


def _draw_legend(sheet: Sheet, top: int, layers: Sequence[_Layer], *, columns: int) -> None:
    """Name the layers row by row, lowest first."""
    font = sheet.font(_TEXT)
    column_width = (WIDTH - 2 * _MARGIN) // columns
    for place, layer in enumerate(layers):
        row, column = divmod(place, columns)
        left, swatch_top = _MARGIN + column * column_width, top + row * _LEGEND_ROW_HEIGHT
        sheet.block(left, swatch_top, _SWATCH, layer.fill)
        name_left = left + _SWATCH + _SWATCH // 2
        name = sheet.shorten(layer.series.name, font=font, width=left + column_width - _SWATCH - name_left)
        sheet.write(name_left, swatch_top + _SWATCH - 5, name, font=font, colour=_BRIGHT)
