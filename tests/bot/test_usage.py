"""The numbers of `/developer usage`: per day in the operator's zone, per token, and as words."""

from datetime import UTC, date, datetime, timedelta

import pytest

from bot.config import BotStores
from bot.language import speak
from bot.texts import charts as chart_words
from bot.texts import usage as words
from bot.usage import MAX_ACTIVE, MAX_REVOKED, REPORTED_DAYS, UsageReport, usage_report
from storage.database import Database
from storage.days import DayZone
from storage.ledger import Ledger
from storage.tokens import ApiToken

GUILD = 10


class SteppedClock:
    """A clock that tests move."""

    def __init__(self, instant: datetime) -> None:
        self.instant = instant

    def now(self) -> datetime:
        return self.instant


@pytest.fixture
def clock() -> SteppedClock:
    # The 21st of November since an hour on Kiritimati, fourteen hours ahead of the clock's own date.
    return SteppedClock(datetime(2026, 11, 20, 11, 0, tzinfo=UTC))


@pytest.fixture
def ledger(database: Database, clock: SteppedClock) -> Ledger:
    return Ledger(database, zone=DayZone("Pacific/Kiritimati"), clock=clock)


async def use(ledger: Ledger, tenant_id: str, *, calls: int = 1, llm_tokens: int = 0) -> None:
    for _ in range(calls):
        charge = await ledger.charge(tenant_id, limit=10**6)
        await ledger.settle(charge, prompt_tokens=llm_tokens, completion_tokens=0)


async def make_token(stores: BotStores, name: str, *, daily_calls: int = 10) -> ApiToken:
    return (await stores.tokens.create(name, daily_calls=daily_calls, guild_id=GUILD)).token


async def report_of(stores: BotStores, ledger: Ledger, *, guild_id: int | None = GUILD) -> UsageReport | None:
    tokens = await stores.tokens.list(guild_id=GUILD, include_revoked=True)
    return await usage_report(ledger, tokens, guild_id=guild_id, guild_daily_calls=1000)


async def test_days_are_those_of_the_operators_zone_and_today_is_last(
    stores: BotStores, ledger: Ledger, clock: SteppedClock
) -> None:
    token = await make_token(stores, "app")
    today = clock.instant
    for days_ago, calls in ((31, 9), (30, 7), (29, 5), (1, 3), (0, 2)):
        clock.instant = today - timedelta(days=days_ago)
        await use(ledger, token.tenant_id, calls=calls, llm_tokens=10)
    clock.instant = today
    report = await report_of(stores, ledger)
    assert report is not None
    assert (len(report.days), report.days[0], report.days[-1]) == (
        REPORTED_DAYS,
        date(2026, 10, 23),
        date(2026, 11, 21),
    )
    server, app = report.series
    assert app.calls == (5, *[0] * 27, 3, 2)
    assert app.llm_tokens == (50, *[0] * 27, 30, 20)
    assert sum(server.calls) == 0
    assert "**app** · 2 of 10 calls · 20 LLM tokens today · 10 calls and 100 LLM tokens in 30 days" in report.text
    midnight = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
    assert report.text.startswith(words.usage_heading(resets_at=midnight))


async def test_tokens_used_yesterday_are_not_those_of_today(
    stores: BotStores, ledger: Ledger, clock: SteppedClock
) -> None:
    token = await make_token(stores, "app")
    clock.instant -= timedelta(days=1)
    await use(ledger, token.tenant_id, llm_tokens=50)
    clock.instant += timedelta(days=1)
    report = await report_of(stores, ledger)
    assert report is not None
    assert "**app** · 0 of 10 calls · 0 LLM tokens today · 1 call and 50 LLM tokens in 30 days" in report.text


async def test_of_revoked_tokens_those_that_were_used_are_there_and_marked(stores: BotStores, ledger: Ledger) -> None:
    used, unused = await make_token(stores, "used"), await make_token(stores, "unused")
    await use(ledger, used.tenant_id, calls=3, llm_tokens=5)
    for token in (used, unused):
        await stores.tokens.revoke(token.id)
    report = await report_of(stores, ledger)
    assert report is not None
    assert "**used (revoked)** · 3 calls and 15 LLM tokens in 30 days" in report.text
    assert "unused" not in report.text
    assert [series.name for series in report.series] == [words.server_in_discord(), "used (revoked)"]


@pytest.mark.parametrize(("is_revoked", "most"), [(True, MAX_REVOKED), (False, MAX_ACTIVE)])
async def test_of_very_many_tokens_the_busiest_have_their_own_lines_and_the_rest_one_sum(
    stores: BotStores, ledger: Ledger, is_revoked: bool, most: int
) -> None:
    used = [1 + number % 3 for number in range(most + 3)]
    for number, calls in enumerate(used):
        token = await make_token(stores, f"t{number}")
        await use(ledger, token.tenant_id, calls=calls, llm_tokens=10)
        if is_revoked:
            await stores.tokens.revoke(token.id)
    report = await report_of(stores, ledger)
    assert report is not None
    own, *shown, rest = report.series
    assert own.name == words.server_in_discord()
    assert sorted(sum(series.calls) for series in shown) == sorted(used)[3:]
    assert [int(series.name.split()[0][1:]) for series in shown] == sorted(
        int(series.name.split()[0][1:]) for series in shown
    )
    assert (sum(rest.calls), sum(rest.llm_tokens)) == (3, 30)
    assert report.text.endswith("**3 API tokens more** · 3 calls and 30 LLM tokens in 30 days")


async def test_a_server_without_tokens_reports_itself_and_a_person_without_tokens_nothing(
    stores: BotStores, ledger: Ledger
) -> None:
    await use(ledger, f"discord:{GUILD}", calls=4, llm_tokens=1)
    report = await report_of(stores, ledger)
    assert report is not None
    assert "This server in Discord** · 4 of 1,000 calls" in report.text
    assert await report_of(stores, ledger, guild_id=None) is None


async def test_the_description_of_the_picture_says_the_sums_and_the_busiest_day(
    stores: BotStores, ledger: Ledger, clock: SteppedClock
) -> None:
    speak("en-US")
    token = await make_token(stores, "app")
    clock.instant -= timedelta(days=2)
    await use(ledger, token.tenant_id, calls=3, llm_tokens=500)
    clock.instant += timedelta(days=2)
    await use(ledger, f"discord:{GUILD}")
    report = await report_of(stores, ledger)
    assert report is not None
    text = report.describe_picture(chart_words.usage_labels())
    assert "4 calls and 1,500 LLM tokens in all" in text
    assert "Nov 19 with 3 calls" in text


async def test_a_picture_of_nothing_says_so(stores: BotStores, ledger: Ledger) -> None:
    report = await report_of(stores, ledger)
    assert report is not None
    assert report.describe_picture(chart_words.usage_labels()).endswith("Both are empty.")


def test_the_longest_description_fits_discords_limit() -> None:
    for locale in ("en-US", "de", "fr", "es-ES", "pt-BR", "ja"):
        speak(locale)
        text = words.picture_described(
            calls_month=10**15, tokens_month=10**15, busiest_day="x" * 40, calls_that_day=10**15
        )
        # https://discord.com/developers/docs/resources/message#attachment-object
        assert len(text) <= 1024


def test_the_words_in_the_picture_are_in_the_persons_language_with_plain_ones_beside_them() -> None:
    speak("de")
    labels, plain = chart_words.usage_labels(), chart_words.plain_usage_labels()
    assert (labels.decimal_mark, plain.decimal_mark) == (",", ".")
    assert (labels.months[4], plain.months[4]) == ("Mai", "May")
    assert chart_words.usage_labels() == labels
    assert plain.total.format(number="1.2k") == "1.2k in 30 days"
    assert plain.name_day(date(2026, 11, 5)) == "Nov 5"


async def test_a_name_is_shown_without_its_markup(stores: BotStores) -> None:
    token = await make_token(stores, "**@bold**")
    report = await usage_report(stores.ledger, [token], guild_id=None, guild_daily_calls=1)
    assert report is not None
    assert "**bold** ·" in report.text
