"""The picture of usage: that it says what the numbers say, whatever they and the names are, and how it is drawn."""

import asyncio
import json
import subprocess
import sys
from dataclasses import replace
from datetime import date, timedelta
from io import BytesIO
from pathlib import Path

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from bot.charts import ChartDrawer, ChartError, ChartLabels, UsageSeries
from bot.charts.drawer import _environment
from bot.charts.lettering import Lettering
from bot.charts.picture import build_figure, draw_usage
from bot.charts.scale import axis_step, short_number
from bot.charts.series import MOST_SERIES, UsageChart
from tests.waiting import eventually

ROOT = Path(__file__).parents[2]
MOST_BYTES = 150_000

LABELS = ChartLabels(
    calls_per_day="Calls per day",
    llm_tokens_per_day="LLM tokens per day",
    total="{number} in total",
    others="Others",
    nothing_used="Nothing was used",
    months=("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
    day="{day} {month}",
    decimal_mark=".",
)
JAPANESE = replace(
    LABELS,
    calls_per_day="1日の呼び出し",
    total="合計 {number}",
    months=tuple(f"{month}月" for month in range(1, 13)),
    day="{month}{day}日",
)


def last_days(count: int) -> tuple[date, ...]:
    newest = date(2026, 11, 21)
    return tuple(newest - timedelta(days=before) for before in range(count - 1, -1, -1))


def used(name: str, calls: int = 3, *, days: int = 30) -> UsageSeries:
    """A series whose days all differ."""
    numbers = tuple(calls * (day + 1) for day in range(days))
    return UsageSeries(name, numbers, tuple(number * 250 for number in numbers))


def figure_of(*series: UsageSeries, days: int = 30, labels: ChartLabels = LABELS) -> Figure:
    return build_figure(UsageChart(series=series, days=last_days(days), labels=labels, plain_labels=LABELS))


def words_in(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.texts]


def layers_of(figure: Figure, panel: int) -> list[tuple[list[float], list[float]]]:
    """The heights and the lower ends of each layer's bars in one panel."""
    stacks = [[bar for bar in layer if isinstance(bar, Rectangle)] for layer in figure.axes[panel].containers]
    return [([bar.get_height() for bar in bars], [bar.get_y() for bar in bars]) for bars in stacks]


def opened(picture: bytes) -> Image.Image:
    with Image.open(BytesIO(picture)) as image:
        assert image.format == "PNG"
        return image.convert("RGBA")


SIX_HUGE_DAYS = UsageSeries("huge", (0, 1, 10**15, 2**63, 10**18, 10**21), (10**15,) * 6)
ODD: dict[str, tuple[tuple[UsageSeries, ...], int]] = {
    "no series": ((), 30),
    "nothing used": ((UsageSeries("quiet", (0,) * 30, (0,) * 30),), 30),
    "one day": ((used("a", days=1), used("b", days=1)), 1),
    "two days": ((used("a", days=2),), 2),
    "a year": ((used("a", days=365),), 365),
    "one call on the last day": ((UsageSeries("a", (0,) * 29 + (1,), (0,) * 29 + (1,)),), 30),
    "calls without LLM tokens": ((UsageSeries("a", (1,) * 30, (0,) * 30),), 30),
    "huge numbers": ((SIX_HUGE_DAYS, SIX_HUGE_DAYS), 6),
    "more series than colours": (tuple(used(f"token {place}", place + 1) for place in range(25)), 30),
    "wide names": (tuple(used("W" * 32) for _ in range(9)), 30),
    "names that mean something to matplotlib": (
        tuple(used(name) for name in ("$x^2$", "$\\frac{", "_hidden", "_", "$", "\\LaTeX", "%s", "{0}", "C0")),
        30,
    ),
    "names of every kind": (
        tuple(used(name) for name in ("", "\n", "東京", "مساعد", "שרת", "😀🎉", "\u202eevil", "a" + "\u0301" * 40)),
        30,
    ),
}


@pytest.fixture(params=list(ODD))
def odd(request: pytest.FixtureRequest) -> tuple[tuple[UsageSeries, ...], int]:
    return ODD[request.param]


def test_every_picture_is_an_opaque_png_that_a_phone_can_show(odd: tuple[tuple[UsageSeries, ...], int]) -> None:
    series, days = odd
    picture = draw_usage(series, days=last_days(days), labels=LABELS)
    image = opened(picture)
    assert image.width == 1000
    assert 850 <= image.height <= 1250
    assert image.getchannel("A").getextrema() == (255, 255)
    assert len(picture) <= MOST_BYTES


def test_no_word_is_cut_by_the_edge_or_covers_another(odd: tuple[tuple[UsageSeries, ...], int]) -> None:
    series, days = odd
    figure = figure_of(*series, days=days)
    boxes = [text.get_window_extent() for text in figure.texts]
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.width for box in boxes)
    assert all(box.y0 >= 0 and box.y1 <= figure.bbox.height for box in boxes)
    overlapping = [
        (figure.texts[one].get_text(), figure.texts[other].get_text())
        for one in range(len(boxes))
        for other in range(one)
        if boxes[one].overlaps(boxes[other])
    ]
    assert overlapping == []


def test_the_bars_are_the_numbers_stacked_in_order() -> None:
    first, second = used("first", 3), used("second", 5)
    figure = figure_of(first, second)
    for panel, (lower, upper) in enumerate(((first.calls, second.calls), (first.llm_tokens, second.llm_tokens))):
        assert layers_of(figure, panel) == [(list(lower), [0] * 30), (list(upper), list(lower))]


def test_the_scale_reaches_over_the_highest_bar_and_is_named_shortly() -> None:
    figure = figure_of(used("first", 3), used("second", 5))
    assert [axes.get_ylim() for axes in figure.axes] == [(0, 250), (0, 60_000)]
    assert {"0", "50", "100", "150", "200", "250", "20k", "40k", "60k"} <= set(words_in(figure))


def test_headings_totals_dates_and_names_stand_in_the_picture() -> None:
    words = words_in(figure_of(used("first", 3), used("second", 5)))
    assert {"Calls per day", "LLM tokens per day", "first", "second"} <= set(words)
    assert {"3.7k in total", "930k in total"} <= set(words)
    assert [word for word in words if word.endswith(("Nov", "Oct"))] == [
        *("21 Nov", "14 Nov", "7 Nov", "31 Oct", "24 Oct"),
        *("21 Nov", "14 Nov", "7 Nov", "31 Oct", "24 Oct"),
    ]


def test_an_empty_panel_says_so() -> None:
    assert words_in(figure_of()).count("Nothing was used") == 2
    without_tokens = figure_of(UsageSeries("a", (1,) * 30, (0,) * 30))
    assert words_in(without_tokens).count("Nothing was used") == 1
    assert without_tokens.axes[1].containers == []


def test_the_smallest_series_are_summed_once_there_are_too_many() -> None:
    series = [used(f"token {place}", calls) for place, calls in enumerate((1, 9, 2, 8, 7, 6, 5, 4, 3, 10))]
    figure = figure_of(*series)
    assert len(layers_of(figure, 0)) == MOST_SERIES + 1
    heights, below = layers_of(figure, 0)[-1]
    assert heights == [3 * (day + 1) for day in range(30)]
    assert below == [52 * (day + 1) for day in range(30)]
    names = [word for word in words_in(figure) if word.startswith(("token", "Others"))]
    assert names == [*(f"token {place}" for place in (1, 3, 4, 5, 6, 7, 8, 9)), "Others (2)"]


def test_a_series_of_few_long_requests_is_not_summed_away() -> None:
    busy = [UsageSeries(f"busy {place}", (100,), (1,)) for place in range(MOST_SERIES)]
    figure = figure_of(*busy, UsageSeries("long", (1,), (10**6,)), days=1)
    assert "long" in words_in(figure)


def test_no_two_layers_look_alike_and_the_legend_shows_each_look() -> None:
    figure = figure_of(*(used(f"token {place}") for place in range(12)))
    looks = []
    for container in figure.axes[0].containers:
        bar = container[0]
        assert isinstance(bar, Rectangle)
        looks.append((to_hex(bar.get_facecolor()), bar.get_hatch()))
    assert len({colour for colour, _ in looks}) == MOST_SERIES + 1
    assert {hatch is None for _, hatch in looks[:4]} == {True}
    assert {hatch is None for _, hatch in looks[4:8]} == {False}
    squares = [artist for artist in figure.artists if isinstance(artist, Rectangle)]
    assert [(to_hex(square.get_facecolor()), square.get_hatch()) for square in squares] == looks


def test_names_are_drawn_as_they_are_and_never_as_formulas() -> None:
    figure = figure_of(used("$x^2$"), used("_hidden"), used("100% $"))
    assert {"$x^2$", "_hidden", "100% $"} <= set(words_in(figure))
    assert not any(text.get_parse_math() for text in figure.texts)


def test_a_long_name_ends_in_an_ellipsis() -> None:
    figure = figure_of(*(used(f"{place} translations of the newsletter") for place in range(4)))
    names = [word for word in words_in(figure) if "trans" in word]
    assert len(names) == 4
    assert all(name.endswith("…") and len(name) > 15 for name in names)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("  two\n lines\t", "two lines"),
        ("Ёлка", "Ёлка"),
        ("𒀀𒀁 bot", "… bot"),
        ("bot 𒀀𒀁 of 𒀂𒀃 mine", "bot … of … mine"),
        ("𝓕𝓪𝓷𝓬𝔂", "Fancy"),
        ("🫠 party", "party"),
        ("\u202eevil\u202c", "evil"),
        ("a\ud800b", "ab"),
        ("e\u0301", "é"),
        ("x" + "\u0336" * 9, "x\u0336\u0336"),
        ("𒀀𒀁", ""),
        ("", ""),
    ],
)
def test_what_no_font_can_draw_is_replaced(name: str, shown: str) -> None:
    assert Lettering([name]).drawable(name) == shown


def test_a_name_of_which_nothing_can_be_drawn_becomes_its_number() -> None:
    words = words_in(figure_of(used("first"), used("𒀀𒀁"), used("")))
    assert {"first", "#2", "#3"} <= set(words)


def test_a_further_font_is_used_where_it_has_a_letter_that_is_missing() -> None:
    only_in_stix = "Ⓐ"
    assert Lettering(["plain"]).families == ["DejaVu Sans"]
    lettering = Lettering([only_in_stix])
    assert lettering.families[0] == "DejaVu Sans"
    assert len(lettering.families) == 2
    assert lettering.drawable(only_in_stix) == only_in_stix


# A picture takes long and a name does not: few pictures, of many names.
@settings(max_examples=12, deadline=None)
@given(st.lists(st.text(st.characters(codec=None), max_size=40), max_size=MOST_SERIES))
def test_any_name_is_drawn_without_a_warning(names: list[str]) -> None:
    # Warnings are errors here, and matplotlib warns of every letter that it lacks.
    series = [used(name, days=2) for name in names]
    assert opened(draw_usage(series, days=last_days(2), labels=JAPANESE)).width == 1000


def test_words_that_no_font_has_are_replaced_as_a_whole() -> None:
    in_cuneiform = replace(LABELS, calls_per_day="𒀀", day="{day}. {month}", decimal_mark=",")
    words = words_in(figure_of(used("first", 7), labels=in_cuneiform))
    assert {"Calls per day", "LLM tokens per day", "21 Nov", "3.3k in total"} <= set(words)


def test_words_in_the_persons_language_are_used_where_they_can_be_drawn() -> None:
    months = ("Jan.", "Feb.", "März", "Apr.", "Mai", "Juni", "Juli", "Aug.", "Sept.", "Okt.", "Nov.", "Dez.")
    german = replace(LABELS, calls_per_day="Aufrufe pro Tag", months=months, day="{day}. {month}", decimal_mark=",")
    words = words_in(figure_of(used("first", 7), labels=german))
    assert {"Aufrufe pro Tag", "31. Okt.", "3,3k in total"} <= set(words)


@pytest.mark.parametrize(
    ("number", "short"),
    [
        *((0, "0"), (7, "7"), (999, "999"), (1000, "1k"), (1049, "1k"), (1250, "1.2k"), (12_345, "12.3k")),
        *((99_949, "99.9k"), (99_950, "100k"), (123_456, "123k"), (999_499, "999k"), (999_500, "1M")),
        *((3_000_000, "3M"), (10**9, "1G"), (10**12, "1T"), (10**15, "1P"), (10**18, "1E"), (10**22, "10000E")),
    ],
)
def test_numbers_are_short(number: int, short: str) -> None:
    assert short_number(number, decimal_mark=".") == short
    assert short_number(number, decimal_mark=",") == short.replace(".", ",")


@given(st.integers(1, 10**30))
def test_a_scale_has_a_few_round_lines_whose_short_names_differ(highest: int) -> None:
    step = axis_step(highest)
    assert str(step).strip("0") in {"1", "2", "5"}
    lines = -(-highest // step)
    assert min(highest, 3) <= lines <= 5
    assert len({short_number(line * step, decimal_mark=".") for line in range(lines + 1)}) == lines + 1


def test_a_picture_without_days_or_with_missing_numbers_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one day"):
        draw_usage([], days=[], labels=LABELS)
    with pytest.raises(ValueError, match="one number for each day"):
        draw_usage([UsageSeries("a", (1, 2), (1,))], days=last_days(2), labels=LABELS)
    with pytest.raises(ValueError, match="twelve months"):
        replace(LABELS, months=("Jan",))


def test_what_is_drawn_survives_the_way_to_the_other_process() -> None:
    series = (used("東京 $x$ \ud800"), SIX_HUGE_DAYS)
    chart = UsageChart(series=series[:1], days=last_days(30), labels=JAPANESE, plain_labels=LABELS)
    assert UsageChart.from_json(chart.to_json()) == chart
    bare = UsageChart(series=series[1:], days=last_days(6), labels=LABELS)
    assert UsageChart.from_json(bare.to_json()) == bare


def children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "bot.charts.child" in child.cmdline()]


async def test_another_process_draws_the_same_picture() -> None:
    series = [used("first"), used("$x$ 東京 مساعد")]
    drawn = await ChartDrawer().draw_usage(series, days=last_days(30), labels=JAPANESE, plain_labels=LABELS)
    assert drawn == draw_usage(series, days=last_days(30), labels=JAPANESE, plain_labels=LABELS)
    assert children() == []


@pytest.mark.parametrize("home", [None, "/dev/null/nobody"])
async def test_without_a_writable_home_it_draws_and_says_nothing(
    home: str | None, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR"):
        monkeypatch.delenv(name, raising=False)
    if home is not None:
        monkeypatch.setenv("HOME", home)
    picture = await ChartDrawer().draw_usage([used("a")], days=last_days(30), labels=LABELS)
    assert opened(picture).width == 1000
    assert capfd.readouterr() == ("", "")


async def test_a_matplotlibrc_of_the_operator_changes_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "matplotlibrc").write_text("savefig.dpi: 30\nfont.family: serif\nnonsense\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    picture = await ChartDrawer().draw_usage([used("a")], days=last_days(30), labels=LABELS)
    assert opened(picture).width == 1000


async def test_a_picture_that_takes_too_long_is_given_up_and_leaves_no_process() -> None:
    with pytest.raises(ChartError, match=r"within 0\.05 s"):
        await ChartDrawer(timeout_seconds=0.05).draw_usage([used("a")], days=last_days(30), labels=LABELS)
    assert children() == []


async def test_a_person_who_gives_up_leaves_no_process() -> None:
    drawing = asyncio.create_task(ChartDrawer().draw_usage([used("a")], days=last_days(30), labels=LABELS))
    await eventually(lambda: bool(children()))
    drawing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await drawing
    assert children() == []


async def test_one_picture_is_drawn_at_a_time() -> None:
    drawer = ChartDrawer(timeout_seconds=0.2)
    async with drawer._turn:
        with pytest.raises(ChartError, match="within"):
            await drawer.draw_usage([used("a")], days=last_days(30), labels=LABELS)
        assert children() == []
    # The one that gave up does not hold up the next.
    assert not drawer._turn.locked()


@pytest.mark.parametrize(("program", "why"), [("/bin/false", "status 1: no reason"), ("/nowhere", "FileNotFoundError")])
async def test_a_process_that_cannot_draw_is_an_error_without_content(
    program: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", program)
    with pytest.raises(ChartError, match=why):
        await ChartDrawer().draw_usage([used("secret name")], days=last_days(30), labels=LABELS)


def test_a_fault_while_drawing_is_told_by_kind_and_place_only() -> None:
    document = json.dumps({"series": [{"name": "secret name"}], "plain_labels": None}).encode()
    done = subprocess.run(
        [sys.executable, "-m", "bot.charts.child"],
        input=document,
        capture_output=True,
        cwd=ROOT,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout.startswith(b"KeyError at ")
    assert b"charts/series.py" in done.stdout
    assert b"secret" not in done.stdout + done.stderr


def test_the_process_that_draws_is_given_no_secret() -> None:
    secrets = ("DISCORD_TOKEN", "DATABASE_URL", "PARLEY_SERVICE_TOKEN", "AWS_SECRET_ACCESS_KEY")
    inherited = {"PATH": "/bin", "HOME": "/home/parley", **dict.fromkeys(secrets, "secret")}
    given_on = _environment(inherited)
    assert {"PATH", "HOME", "PYTHONPATH"} <= given_on.keys()
    assert "secret" not in given_on.values()


def test_the_bot_does_not_load_matplotlib() -> None:
    program = "import sys, bot.charts; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, timeout=60, check=False).returncode == 0
