"""How the benchmark of promotions reads the requests of a server."""

from __future__ import annotations

import pytest

from benchmarks.promotion import REFRESH, Followed, Promotion, how_followed

DONE = 100.0


def test_only_requests_of_the_old_version_after_the_refresh_are_late() -> None:
    offsets = [-0.1, 0.3, 0.9, 1.1, 1.2, 1.3, 2.5]
    asked = [(DONE + offset * REFRESH, "new" if offset in (1.3, 2.5) else "old") for offset in offsets]
    found = how_followed(Promotion("new", DONE), asked)
    assert found == Followed(late=2, seconds=found.seconds)
    assert found.seconds == pytest.approx(1.3 * REFRESH)


def test_a_version_that_nobody_came_to_serve_ends_the_benchmark() -> None:
    asked = [(DONE + offset * REFRESH, "old") for offset in (0.5, 1.5, 1.9)]
    with pytest.raises(SystemExit, match="was not served"):
        how_followed(Promotion("new", DONE), [*asked, (DONE + 3 * REFRESH, "new")])
