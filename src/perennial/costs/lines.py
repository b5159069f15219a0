"""One line of an estimate, and dollars as people read them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

from perennial.costs.prices import Price

Group = Literal["predictions", "rows", "labels", "visits", "trainings", "schedule", "at rest"]
GROUPS: tuple[Group, ...] = ("predictions", "rows", "labels", "visits", "trainings", "schedule", "at rest")
CENT = Decimal("0.01")


@dataclass(frozen=True)
class Line:
    """So much of something that has a price. ``how`` says where the quantity comes from, ``free`` is set against it."""

    group: Group
    what: str
    price: Price
    quantity: Decimal
    how: str
    free: Decimal = Decimal(0)

    @property
    def dollars(self) -> Decimal:
        """What is charged, exact."""
        return self.price.of(max(Decimal(0), self.quantity - self.free))

    @property
    def saved(self) -> Decimal:
        """What AWS does not charge for because of ``free``, exact."""
        return self.price.of(self.quantity) - self.dollars


def number(value: float) -> Decimal:
    """A float as the decimal that is written for it, so that 0.1 is a tenth."""
    return Decimal(str(value))


def cents(dollars: Decimal) -> Decimal:
    """Rounded to whole cents, a half up."""
    return dollars.quantize(CENT, ROUND_HALF_UP)


def money(dollars: Decimal) -> str:
    """Dollars for people: whole cents, and what is less than one as such."""
    if 0 < dollars < CENT / 2:
        return "<$0.01"
    return f"${cents(dollars):,}"


def amount(quantity: Decimal) -> str:
    """A quantity for people, with as many places as tell anything."""
    if quantity == quantity.to_integral_value():
        return f"{int(quantity):,}"
    return f"{quantity:,.2f}" if quantity >= 1 else f"{quantity:.3g}"
