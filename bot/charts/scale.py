"""Round steps for an axis, and numbers short enough to stand beside it."""

_PREFIXES = ("", "k", "M", "G", "T", "P", "E")
"""SI's, which every language reads alike: https://www.bipm.org/en/measurement-units/si-prefixes"""

_MOST_STEPS = 5


def axis_step(largest: int) -> int:
    """Return the smallest of 1, 2, 5, 10, 20, 50 ... of which at most five reach `largest`."""
    power = 1
    while True:
        for factor in (1, 2, 5):
            if factor * power * _MOST_STEPS >= largest:
                return factor * power
        power *= 10


def short_number(number: int, *, decimal_mark: str) -> str:
    """Return 950, 1.2k, 34.5k, 120k, 3M and so on: at most one decimal, and none from a hundred up."""
    scaled, power = float(number), 0
    while _rounded(scaled) >= 1000 and power < len(_PREFIXES) - 1:
        scaled, power = scaled / 1000, power + 1
    return f"{_rounded(scaled):.1f}".removesuffix(".0").replace(".", decimal_mark) + _PREFIXES[power]


def _rounded(scaled: float) -> float:
    return round(scaled, 1) if scaled < 99.95 else round(scaled)
