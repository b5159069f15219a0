"""Looks at S3: one of a name at a time, and none is handed on once it has ended."""

from __future__ import annotations

import threading
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


def test_a_call_left_behind_by_a_thread_that_could_not_start_takes_no_other_s_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The pool keeps what it was given even where it then fails to start a thread for it."""
    found: Looks[str] = Looks(threads=2)
    busy, orphaned, second = threading.Event(), threading.Event(), threading.Event()
    found.start("busy", lambda: str(busy.wait(60)))

    def orphan() -> str:
        orphaned.set()
        return "orphan"

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="can't start new thread"):
        patch.setattr(threading.Thread, "start", refuse)
        found.start("iris", orphan)
    future, _ = found.start("iris", lambda: f"second {second.wait(60)}")
    busy.set()
    assert orphaned.wait(60)
    found.start("after", lambda: "the thread of the orphan is free again")[0].result(timeout=60)
    assert found.start("iris", lambda: "third") == (future, False)
    second.set()
    assert future.result(timeout=60) == "second True"


def test_a_look_that_was_cancelled_in_line_is_no_longer_under_way() -> None:
    found: Looks[str] = Looks(threads=1, limit=2)
    busy = threading.Event()
    found.start("busy", lambda: str(busy.wait(60)))
    waiting, _ = found.start("iris", lambda: "first")
    assert waiting.cancel()
    again, new = found.start("iris", lambda: "second")
    busy.set()
    assert (new, again.result(timeout=60)) == (True, "second")
