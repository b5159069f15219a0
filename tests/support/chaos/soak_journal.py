"""What was done in a soak, and what went wrong."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from perennial.errors import PerennialError

MOST_TOLD = 50


class Wrong(Exception):
    """An answer that must not be."""


@dataclass
class Journal:
    """Counts by kind, and the first of what failed in words. Used by several threads."""

    done: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    told: list[str] = field(default_factory=list)
    promoted: Counter[str] = field(default_factory=Counter)
    """Log entries of each model that were acknowledged."""
    captured: dict[str, str] = field(default_factory=dict)
    """Predictions that the functions answered and that must reach S3: the model by the id."""
    labels: dict[str, str] = field(default_factory=dict)
    """Labels that were acknowledged: the model by the prediction's id."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def noting(self, kind: str) -> Iterator[None]:
        """Count what happens within a block, and whether it was right."""
        try:
            yield
        except (Wrong, AssertionError, PerennialError, httpx.HTTPError, OSError, LookupError, ValueError) as error:
            with self._lock:
                self.failed[kind] += 1
                if len(self.told) < MOST_TOLD:
                    self.told.append(f"{kind}: {type(error).__name__}: {error}")
        finally:
            with self._lock:
                self.done[kind] += 1


def expect(answer: httpx.Response, status: int) -> httpx.Response:
    """Raises Wrong for another status."""
    if answer.status_code != status:
        raise Wrong(f"{answer.request.method} {answer.request.url}: {answer.status_code}: {answer.text[:300]}")
    return answer
