"""Workers that die while files are scored: at each request in turn, and at random among shuffled messages."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress

import pytest

from tests.support.batch_world import Killed, World, dying

Prepare = Callable[[], tuple[World, str]]
"""A world with one file to score, told of by one message, and the work on it."""
Judge = Callable[[World, str], bytes]
"""The output of a work, once it is judged to be whole."""


def die_at_each_request(prepare: Prepare, scored_once: Judge, *, after: bool) -> None:
    """One worker dies at its n-th request and the rest is done by others, for every n until it gets through."""
    expected = None
    for at in range(1, 120):
        world, work = prepare()
        (body,) = world.messages
        died = False
        try:
            world.work(body, world.bench(dying(at, after=after)))
        except Killed:
            died = True
        world.run()
        data = scored_once(world, work)
        expected = expected or data
        assert data == expected
        if not died:
            assert at > 8
            return
    pytest.fail("it never got through")


def die_at_each_message(prepare: Prepare, scored_once: Judge, *, after: bool) -> None:
    """Every worker dies at its n-th request, at whatever message; each message then comes again, last ones first."""
    expected = None
    for at in range(1, 60):
        world, work = prepare()
        died = 0
        tried: set[str] = set()
        while world.messages:
            body = world.messages.pop()
            if body in tried:
                world.work(body)
                continue
            tried.add(body)
            try:
                world.work(body, world.bench(dying(at, after=after)))
            except Killed:
                died += 1
                world.messages.append(body)
        data = scored_once(world, work)
        expected = expected or data
        assert data == expected
        if not died:
            assert at > 15
            return
    pytest.fail("it never got through")


def deliver_often(world: World, chance: random.Random, due: Callable[[], bool], promote: Callable[[], object]) -> None:
    """Each message one to five times, in any order, to workers of which a third die; a promotion once it is due."""
    waiting: list[str] = []
    promoted = False
    while world.messages or waiting:
        for body in world.messages:
            waiting += [body] * chance.randint(1, 5)
        world.messages.clear()
        body = waiting.pop(chance.randrange(len(waiting)))
        if chance.random() < 0.3:
            with suppress(Killed):
                world.work(body, world.bench(dying(chance.randint(1, 30), after=chance.random() < 0.5)))
            waiting.append(body)  # whoever dies has not deleted its message
        else:
            world.work(body)
        if not promoted and due():
            promote()
            promoted = True
    assert promoted
