"""Schedules: those that a scheduler takes, and mistakes that must not reach it."""

from __future__ import annotations

import pytest

from perennial.schedule import PRESETS, schedule

TAKEN = (*PRESETS, "0 6 * * 1", "*/15 0-5,22 1,15 jan-mar mon-fri", "0 0 * * 7", "59 23 31 12 SUN", "0 */6 * * *")


@pytest.mark.parametrize("text", TAKEN)
def test_a_schedule_is_taken_as_it_is(text: str) -> None:
    assert schedule(text) == text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("every day", "no schedule"),
        ("@fortnightly", "no schedule"),
        ("* *", "no schedule"),
        ("* * * * * *", "no schedule"),
        ("60 * * * *", "minute"),
        ("* 24 * * *", "hour"),
        ("* * 0 * *", "day of the month"),
        ("* * * 13 *", "month"),
        ("* * * * 8", "day of the week"),
        ("5-1 * * * *", "minute"),
        ("*/0 * * * *", "minute"),
        ("1,,2 * * * *", "minute"),
        ("a * * * *", "minute"),
        ("² * * * *", "minute"),
    ],
)
def test_a_mistake_names_the_field(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        schedule(text)
