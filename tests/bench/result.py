"""What the rows say: lines of a table, and numbers by name for the text."""

import dataclasses


@dataclasses.dataclass
class Line:
    """ours, beside: texts with their units. used: how much of the target is used up, 1 being all of
    it; None where there is none. met: None where it couldn't be measured."""

    what: str
    ours: str
    beside: str
    ratio: str
    target: str
    met: bool | None
    used: float | None = None


def at_most(what, ours, beside, value, limit, show="{:.2f}x"):
    """A line whose target is an upper limit of this value."""
    return Line(what, ours, beside, show.format(value), "<= " + show.format(limit), value <= limit,
                value / limit if limit else None)


def at_least(what, ours, beside, value, limit, show="{:.2f}x"):
    return Line(what, ours, beside, show.format(value), ">= " + show.format(limit), value >= limit,
                limit / value if value else None)


def not_measured(what, why, target):
    return Line(what, why, "", "", target, None)


def us(number):
    return f"{number:.2f} us" if number < 10 else f"{number:.1f} us" if number < 100 else f"{number:.0f} us"


def rate(number):
    return f"{number:,.0f}/s"
