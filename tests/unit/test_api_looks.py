"""Looks at S3: one of a name at a time, and none is handed on once it has ended."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from lambdas.api import looks
from lambdas.api.looks import Looks


class Late(ThreadPoolExecutor):
    """Its futures' results can be seen long before what was to be called at their end is called."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future = super().submit(fn, *args, **kwargs)
        future.add_done_callback = lambda fn: None  # type: ignore[method-assign]
        return future


def test_a_look_that_has_ended_is_no_longer_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who saw its result and asks again has a new one, however slow the thread that made it is to go on."""
    monkeypatch.setattr(looks, "ThreadPoolExecutor", Late)
    found: Looks[int] = Looks(threads=1, limit=1)
    for turn in range(3):
        future, new = found.start("iris", lambda turn=turn: turn)  # type: ignore[misc]
        assert (future.result(timeout=60), new) == (turn, True)


def test_a_look_that_failed_has_ended_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "ThreadPoolExecutor", Late)
    found: Looks[int] = Looks(threads=1, limit=1)
    for _ in range(2):
        future, new = found.start("iris", lambda: int("no number"))
        assert isinstance(future.exception(timeout=60), ValueError)
        assert new
