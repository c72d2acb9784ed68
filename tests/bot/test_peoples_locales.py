"""Whose language is known: that of people who used a command, a button or a form lately."""

import discord

from bot.peoples_locales import PeoplesLocales

ADA, BOB = discord.Object(1), discord.Object(2)


def test_the_last_language_counts_and_others_are_unknown() -> None:
    locales = PeoplesLocales()
    locales.remember(ADA.id, discord.Locale.german)
    locales.remember(ADA.id, discord.Locale.japanese)
    assert locales.of(ADA, None) == "ja"
    assert locales.of(BOB, None) is None


def test_only_so_many_people_are_remembered_those_who_came_last() -> None:
    locales = PeoplesLocales()
    locales.remember(ADA.id, discord.Locale.german)
    locales.remember(BOB.id, discord.Locale.german)
    for user_id in range(10, 10_009):
        locales.remember(user_id, discord.Locale.french)
        locales.remember(ADA.id, discord.Locale.german)
    assert locales.of(ADA, None) == "de"
    assert locales.of(BOB, None) is None
    assert locales.of(discord.Object(10), None) == "fr"
