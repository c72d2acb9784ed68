"""What a request will probably cost and how long it will take, from what earlier ones did.

Owns: learning from prompts, replies and times, each forgotten by and by. Does not own: the order of requests
(`fairness.py`), or playing it forward (`forecast.py`).
"""

import math
from collections import OrderedDict, deque
from dataclasses import dataclass

TOKENS_PER_BYTE = 0.3
"""Of a prompt, while none was seen; English takes about a quarter."""

PRIOR_TOKENS = 100.0
"""So many tokens of everybody's replies stand behind what one tenant's say, while they are few."""

MAX_TENANTS = 10_000
"""Tenants whose replies are remembered; about 3 MB. Of others, what everybody's replies say holds."""


REMEMBERED_ARRIVALS = 128
"""Fewer would follow a change sooner, and be off by more: where newcomers fill two thirds of the slots, an error of a
tenth in how many come is one of a fifth in how long a flooder waits."""

FEWEST_ARRIVALS = 8
"""So many have to come before it is said how often somebody comes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """What is known of a request before its prompt is fitted.

    `reply_tokens` bounds each of `choices` replies, as the context does. `is_endless` replies never end by themselves.
    """

    prompt_bytes: int
    context_tokens: int
    reply_tokens: int
    choices: int = 1
    is_endless: bool = False


class _Ratio:
    """Something per something, of which each new observation makes the old ones count less."""

    __slots__ = ("_kept", "above", "below")

    def __init__(self, *, remembered: int) -> None:
        self._kept = 1 - 1 / remembered
        self.above = 0.0
        self.below = 0.0

    def learn(self, above: float, below: float) -> None:
        self.above = self.above * self._kept + above
        self.below = self.below * self._kept + below

    @property
    def value(self) -> float | None:
        return self.above / self.below if self.below else None


class Arrivals:
    """The newest arrivals, and what they took; how far apart they are, while there are enough to say."""

    def __init__(self) -> None:
        self._came_at: deque[float] = deque(maxlen=REMEMBERED_ARRIVALS)
        self._cost_tokens = _Ratio(remembered=REMEMBERED_ARRIVALS)
        self._seconds = _Ratio(remembered=REMEMBERED_ARRIVALS)

    def note(self, now: float) -> None:
        """Note that one came."""
        self._came_at.append(now)

    def learn(self, *, cost_tokens: int, seconds: float) -> None:
        """Learn what one took."""
        self._cost_tokens.learn(cost_tokens, 1)
        self._seconds.learn(seconds, 1)

    def expect(self, now: float) -> tuple[float, float, float] | None:
        """Expect seconds from one to the next, and LLM tokens and seconds of each; None while too few came."""
        cost_tokens, seconds = self._cost_tokens.value, self._seconds.value
        if len(self._came_at) < FEWEST_ARRIVALS or cost_tokens is None or seconds is None:
            return None
        return max(1e-3, (now - self._came_at[0]) / len(self._came_at)), cost_tokens, seconds


class Expectations:
    """Learns from requests that end, and says what to expect of others."""

    def __init__(self) -> None:
        self._tokens_per_byte = _Ratio(remembered=256)
        self._ends_per_token = _Ratio(remembered=256)
        self._ends_per_token_of: OrderedDict[str, _Ratio] = OrderedDict()
        self._seconds_per_prompt_token = _Ratio(remembered=32)
        self._seconds_per_reply_token = _Ratio(remembered=32)

    @property
    def knows_times(self) -> bool:
        """Say whether any reply was measured."""
        return self._seconds_per_reply_token.value is not None

    def prompt_tokens(self, size: Size) -> int:
        """Expect a prompt; what is over the context will be left out."""
        per_byte = self._tokens_per_byte.value or TOKENS_PER_BYTE
        return min(math.ceil(size.prompt_bytes * per_byte), size.context_tokens)

    def reply_tokens(self, tenant_id: str, size: Size, *, prompt_tokens: int) -> float:
        """Expect the tokens of one reply.

        With a constant chance p to end at each token, as good as any guess while nothing is known of the text, a reply
        bounded by n tokens takes (1 - (1 - p)^n) / p.
        """
        most, per_token = self._bounds(tenant_id, size, prompt_tokens=prompt_tokens)
        return most if not per_token else -math.expm1(-most * per_token) / per_token

    def reply_tokens_at(
        self, tenant_id: str, size: Size, share: float, *, prompt_tokens: int, said_tokens: int = 0
    ) -> float:
        """Say how many tokens more one reply takes in `share` of all cases at most; what it has said changes nothing.

        Of several replies that run, the first to end is sooner than any is expected to: play them with several shares.
        """
        most, per_token = self._bounds(tenant_id, size, prompt_tokens=prompt_tokens)
        most = max(0.0, most - said_tokens)
        return most if not per_token else min(most, -math.log1p(-share) / per_token)

    def cost_tokens(self, tenant_id: str, size: Size) -> int:
        """Expect the LLM tokens of a whole request: the prompt, and every reply to it."""
        prompt_tokens = self.prompt_tokens(size)
        reply_tokens = self.reply_tokens(tenant_id, size, prompt_tokens=prompt_tokens)
        return round(prompt_tokens + size.choices * reply_tokens)

    def seconds(self, prompt_tokens: float, reply_tokens: float) -> float:
        """Expect how long a slot takes for so many tokens."""
        per_prompt, per_reply = self._seconds_per_prompt_token.value, self._seconds_per_reply_token.value
        return prompt_tokens * (per_prompt or 0.0) + reply_tokens * (per_reply or 0.0)

    def learn_prompt(self, size: Size, prompt_tokens: int) -> None:
        """Learn from a prompt of which nothing was left out."""
        self._tokens_per_byte.learn(prompt_tokens, size.prompt_bytes)

    def learn_reply(self, tenant_id: str, size: Size, *, tokens: int, is_cut: bool) -> None:
        """Learn from the end of a reply; one that was cut at its bound says only that it would have been longer."""
        if size.is_endless or not tokens:
            return
        of_tenant = self._ends_per_token_of.setdefault(tenant_id, _Ratio(remembered=64))
        self._ends_per_token_of.move_to_end(tenant_id)
        if len(self._ends_per_token_of) > MAX_TENANTS:
            self._ends_per_token_of.popitem(last=False)
        for ratio in (of_tenant, self._ends_per_token):
            ratio.learn(0 if is_cut else 1, tokens)

    def learn_seconds(
        self, *, prompt_tokens: int, prompt_seconds: float, reply_tokens: int, reply_seconds: float
    ) -> None:
        """Learn from how long a slot was held, to the first token and from there on."""
        self._seconds_per_prompt_token.learn(prompt_seconds, prompt_tokens)
        self._seconds_per_reply_token.learn(reply_seconds, reply_tokens)

    def _bounds(self, tenant_id: str, size: Size, *, prompt_tokens: int) -> tuple[float, float]:
        """Give the most tokens that a reply may have, and how many times it ends per token."""
        most = min(size.reply_tokens, max(1, size.context_tokens - prompt_tokens))
        return most, 0.0 if size.is_endless else self._ends_per_token_for(tenant_id)

    def _ends_per_token_for(self, tenant_id: str) -> float:
        """Count ends per token: a tenant's own, and a few of everybody's beside them."""
        everybody = self._ends_per_token.value or 0.0
        own = self._ends_per_token_of.get(tenant_id)
        if own is None:
            return everybody
        return (own.above + PRIOR_TOKENS * everybody) / (own.below + PRIOR_TOKENS)
