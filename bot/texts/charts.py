"""The words in the pictures. They carry places for numbers, which are filled in where the picture is drawn."""

from babel.dates import get_month_names
from babel.numbers import get_decimal_symbol

from bot.charts import ChartLabels
from bot.language import ENGLISH, speaking, spoken_language, tr


def usage_labels() -> ChartLabels:
    """Return the words for the picture of usage in the spoken language."""
    months = get_month_names("abbreviated", context="stand-alone", locale=spoken_language())
    return ChartLabels(
        calls_per_day=tr("Calls per day"),
        llm_tokens_per_day=tr("LLM tokens per day"),
        total=tr("{number} in 30 days", number="{number}"),
        others=tr("others"),
        nothing_used=tr("nothing used"),
        months=tuple(months[month] for month in range(1, 13)),
        day=tr("{month} {day}", month="{month}", day="{day}"),
        decimal_mark=get_decimal_symbol(spoken_language()),
    )


def plain_usage_labels() -> ChartLabels:
    """Return the words in English, in letters that every font has."""
    with speaking(ENGLISH):
        return usage_labels()
