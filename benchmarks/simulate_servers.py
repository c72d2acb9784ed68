"""How many GPU replicas 100,000 Discord servers need, so that 95 of 100 first tokens come within two seconds.

A simulation, and no measurement: Parley's own queue, fairness and choice of a replica, on a virtual clock, before
replicas that take as long as one NVIDIA H200 was measured to take. What is assumed:

- People: `simulated_people.People`, field by field. A fifth of the servers is active on a day; questions per active
  server are log-normal (mean 25, median 8), at most the allowance of 1,000; three groups of time zones with a day and a
  night; people ask four questions in a row, 25 s after the reply before; others join in. Half of these begin anew, half
  go on in a channel with a history. Of the active servers 1 % send all of their allowance in floods of 100.
- Times: `simulated_replica.Speed`, measured through `POST /ai/chat` (decision 32). A prompt takes its uncached tokens
  at 11,000 a second and 10 ms, one after the other, and while it is computed no reply of that replica goes on.
- A cache: the slots of a replica, 32, each with the conversation it had last. What a channel's history had before a
  row of questions is computed anew, and so is a history that was cut; nothing is shared between conversations.
- Processes: one `parley api` for each three replicas, for a token costs it about 0.24 ms (decision 23). Each has all
  replicas in `PARLEY_ENGINE_URL` and its equal part of their slots in `PARLEY_PARALLEL`; for a server of Discord its
  shard of the bot asks, always the same process. Rooms have the default size. Whoever is refused gives up, and counts
  as somebody who waited for ever.

The first token's time is the wait in line, the wait for other prompts, the prompt and one step of the reply. Discord's
and the network's own times come on top. The replicas are counted in the busiest hour, with ten minutes before it, and
the number found is then tried for the whole day. Prints tables and ends in one line of JSON; the same seed gives the
same figures. Takes about four minutes of one core: `python -m benchmarks.simulate_servers`.
"""

import argparse
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rich.console import Console
from rich.table import Table

from benchmarks.bench_fair_queue import in_order
from benchmarks.simulated_people import DAY, HOUR, Day, People, draw_day
from benchmarks.simulated_replica import CPU_1B, H200_1B, H200_8B, Speed
from benchmarks.simulated_service import Felt, SimulatedService

GOAL_SECONDS = 2.0
WARM_UP_SECONDS = 600.0
REPLICAS_PER_PROCESS = 3
TOKEN_MILLISECONDS = 0.24
"""Of the processor, for each token through an API process (decision 23)."""

MAX_WAITING = 64
EVERYTHING = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One service to be tried; `remembers` is that of `SimulatedService`, `tenant_slots` is `PARLEY_TENANT_SLOTS`."""

    speed: Speed
    replicas: int
    remembers: int | None = None
    tenant_slots: int | None = None
    is_fair: bool = True

    @property
    def processes(self) -> int:
        """Count the API processes before the replicas."""
        return -(-self.replicas // REPLICAS_PER_PROCESS)


Figures = dict[str, float | None]
"""None for a time that nobody felt, or that was for ever because the question was refused."""


def percentile(felt: Sequence[Felt], share: float) -> float:
    """Give the seconds to the first token that so large a share stayed within; refused ones did not."""
    ordered = sorted(math.inf if one.first_token_seconds is None else one.first_token_seconds for one in felt)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else math.nan


def attempt(day: Day, trial: Trial, begins: float, ends: float) -> tuple[SimulatedService, list[Felt]]:
    """Simulate a part of a day, and what came before it for a while; give what was felt within it."""
    service = SimulatedService(
        day,
        trial.speed,
        replicas=trial.replicas,
        processes=trial.processes,
        max_waiting=MAX_WAITING,
        tenant_slots=trial.tenant_slots,
        remembers=trial.remembers,
    )
    for process in service.processes:
        in_order(process.queue, is_fair=trial.is_fair)
    service.run(max(0.0, begins - WARM_UP_SECONDS), ends)
    return service, [one for one in service.felt if one.came_at >= begins]


def summarise(day: Day, service: SimulatedService, felt: Sequence[Felt], seconds: float) -> Figures:
    """Say what ordinary servers felt, small ones among them, and flooding ones, and how busy the replicas were."""
    flooding = {one.server for one in felt if one.is_flood}
    ordinary = [one for one in felt if one.server not in flooding]
    small = [one for one in ordinary if day.questions_of[one.server] <= day.people.median_questions]
    computed = sum(replica.computed_tokens for replica in service.replicas)
    cached = sum(replica.cached_tokens for replica in service.replicas)
    tokens_per_second = service.said_tokens / seconds
    return {
        "replicas": len(service.replicas),
        "questions_per_second": round(len(felt) / seconds, 2),
        "p50_s": _rounded(percentile(ordinary, 0.5)),
        "p95_s": _rounded(percentile(ordinary, 0.95)),
        "p99_s": _rounded(percentile(ordinary, 0.99)),
        "small_p95_s": _rounded(percentile(small, 0.95)),
        "flooding_p50_s": _rounded(percentile([one for one in felt if one.is_flood], 0.5)),
        "refused": round(_refused(ordinary), 5),
        "flood_refused": round(_refused([one for one in felt if one.is_flood]), 3),
        "busy": round(sum(replica.busy_seconds for replica in service.replicas) / len(service.replicas) / seconds, 3),
        "slots": round(sum(replica.slot_seconds for replica in service.replicas) / service.slots / seconds, 3),
        "cached": round(cached / max(1, cached + computed), 3),
        "tokens_per_second": round(tokens_per_second),
        "api_cores": round(tokens_per_second * TOKEN_MILLISECONDS / 1000, 2),
    }


def _rounded(seconds: float) -> float | None:
    return round(seconds, 3) if math.isfinite(seconds) else None


def _refused(felt: Sequence[Felt]) -> float:
    return sum(one.first_token_seconds is None for one in felt) / max(1, len(felt))


def try_busy_hour(day: Day, trial: Trial) -> Figures:
    """Try a service in the hour in which most is asked."""
    begins = int(day.questions_by_hour.argmax()) * HOUR
    service, felt = attempt(day, trial, begins, begins + HOUR)
    return summarise(day, service, felt, HOUR + min(begins, WARM_UP_SECONDS))


def search(day: Day, speed: Speed) -> Iterator[Figures]:
    """Try ever more replicas in the busiest hour, from what could compute all of it on, until the goal is reached."""
    hour = day.questions_by_hour.max() / day.questions_by_hour.sum()
    most, each = speed.streams[-1]
    seconds = day.reply_tokens.sum() / (most * each) + day.question_tokens.sum() / speed.prompt_tokens_per_second
    replicas = max(1, math.ceil(seconds * hour / HOUR))
    while True:
        figures = try_busy_hour(day, Trial(speed=speed, replicas=replicas))
        yield figures
        if (figures["p95_s"] or math.inf) < GOAL_SECONDS:
            return
        replicas += 1


def try_day(day: Day, trial: Trial) -> Figures:
    """Try a service for the whole day; `worst_p95_s` is that of the hour in which it is highest."""
    service, felt = attempt(day, trial, 0.0, DAY)
    flooding = {one.server for one in felt if one.is_flood}
    hours: list[list[Felt]] = [[] for _ in range(24)]
    for one in felt:
        if one.server not in flooding:
            hours[int(one.came_at // HOUR)].append(one)
    worst = max(percentile(hour, 0.95) for hour in hours if hour)
    return summarise(day, service, felt, DAY) | {"worst_p95_s": _rounded(worst)}


def try_processors(seed: int) -> dict[str, Figures]:
    """Try one machine of two cores with few servers and nobody flooding, whose engine remembers every conversation."""
    figures = {}
    for servers in (100, 1_000):
        people = People(servers=servers, flooding_share=0)
        trial = Trial(speed=CPU_1B, replicas=1, remembers=EVERYTHING)
        figures[f"{servers} servers, {CPU_1B.name}"] = try_day(draw_day(people, seed=seed), trial)
    return figures


def compare(day: Day, replicas: int, seed: int) -> dict[str, Figures]:
    """Change one thing at a time with the replicas that were found, in the busiest hour."""
    trial = Trial(speed=H200_8B, replicas=replicas)
    return {
        "as assumed": try_busy_hour(day, trial),
        "one replica less": try_busy_hour(day, replace(trial, replicas=replicas - 1)),
        "one replica more": try_busy_hour(day, replace(trial, replicas=replicas + 1)),
        "half the cache": try_busy_hour(day, replace(trial, remembers=H200_8B.slots // 2)),
        "no cache": try_busy_hour(day, replace(trial, remembers=0)),
        "every conversation cached": try_busy_hour(day, replace(trial, remembers=EVERYTHING)),
        "8 slots a server at most": try_busy_hour(day, replace(trial, tenant_slots=8)),
        "first come, first served": try_busy_hour(day, replace(trial, is_fair=False)),
        "nobody floods": try_busy_hour(draw_day(replace(day.people, flooding_share=0), seed=seed), trial),
        "half as many servers again": try_busy_hour(
            draw_day(replace(day.people, servers=day.people.servers * 3 // 2), seed=seed), trial
        ),
    }


def print_table(title: str, rows: dict[str, Figures]) -> None:
    """Print some trials."""
    names = {
        "replicas": "replicas",
        "questions_per_second": "asked/s",
        "p50_s": "p50, s",
        "p95_s": "p95, s",
        "p99_s": "p99, s",
        "small_p95_s": "small servers' p95, s",
        "flooding_p50_s": "floods' p50, s",
        "refused": "refused",
        "flood_refused": "floods refused",
        "busy": "busy",
        "slots": "slots",
        "cached": "cached",
        "api_cores": "API cores",
    }
    table = Table("", *names.values(), title=title)
    for said, figures in rows.items():
        table.add_row(said, *("-" if figures[name] is None else str(figures[name]) for name in names))
    Console(width=200).print(table)


def main() -> None:
    """Search, compare, print, end in JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--servers", type=int, default=People().servers)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    people = People(servers=options.servers)
    day = draw_day(people, seed=options.seed)
    searches = {
        f"{options.servers:,} servers, {H200_8B.name}": list(search(day, H200_8B)),
        f"{options.servers:,} servers, {H200_1B.name}": list(search(day, H200_1B)),
    }
    twice = draw_day(replace(people, servers=2 * options.servers), seed=options.seed)
    searches[f"{2 * options.servers:,} servers, {H200_8B.name}"] = list(search(twice, H200_8B))
    for title, tried in searches.items():
        print_table(f"{title}: the busiest hour", {str(number): figures for number, figures in enumerate(tried, 1)})
    found = int(next(iter(searches.values()))[-1]["replicas"] or 0)
    compared = compare(day, found, options.seed)
    print_table(f"{found} replicas, the busiest hour", compared)
    days = {f"{found} replicas": try_day(day, Trial(speed=H200_8B, replicas=found)), **try_processors(options.seed)}
    print_table("The whole day", days)
    result = {name: tried[-1] for name, tried in searches.items()}
    print(json.dumps({"benchmark": "servers", "found": result, "compared": compared, "days": days}))


if __name__ == "__main__":
    main()
