"""What a rule of the gate answers, and what its answers are made of."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

ROUNDING = 1e-12  # a difference of two floats may miss a decimal bound by its last digit


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


Number = Annotated[float | None, AfterValidator(_finite)]
"""None stands for what is not finite: canonical JSON has no NaN."""


class RuleResult(BaseModel):
    """One rule's answer. ``value`` is what was measured (None: nothing that could be judged), ``bound`` the limit.

    ``approval``: it passes by what nobody vouches for, and a person has to say so too.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: str
    passed: bool
    reason: str
    value: Number = None
    bound: Number = None
    approval: bool = False


def missing(what: str, value: float | None) -> str:
    """Why a figure cannot be judged; empty where it can."""
    if value is None:
        return f"{what} is missing"
    return "" if math.isfinite(value) else f"{what} is not a finite number"
