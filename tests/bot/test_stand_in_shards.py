"""Shards in the stand-in Discord server: who hears of what, and who identifies too fast."""

from tests.doubles.discord_gateway import Gateway, Session
from tests.doubles.discord_probe import Probe


async def test_a_server_belongs_to_one_shard_and_dms_to_the_first() -> None:
    for count in (1, 2, 3, 16):
        shards = [Session(intents=0, shard=(number, count)) for number in range(count)]
        guild_id = 1_234_567_890_123_456_789
        hearing = [shard.shard[0] for shard in shards if shard.hears_of(guild_id)]
        assert hearing == [(guild_id >> 22) % count]
        assert [shard.shard[0] for shard in shards if shard.hears_of(None)] == [0]


async def test_a_server_is_made_for_a_shard() -> None:
    async with Probe() as probe:
        for number in range(5):
            assert (probe.server.guild_of_shard(number, 5).id >> 22) % 5 == number


async def test_who_identifies_too_fast_has_no_session() -> None:
    async with Probe() as probe:
        gateway: Gateway = probe.server.gateway
        gateway.identify_seconds = 60.0
        await probe.listen()
        assert gateway.shards == {(0, 1)}
        await probe.identify_again((0, 1))
        await probe.server.changes.until(lambda: gateway.hurried == [0], "the second one is too fast")
