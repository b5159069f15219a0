"""The boundary to estimators: foreign code that a spec configures freely, and that may raise anything."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from perennial.errors import PerennialError, TrainingError

LONGEST = 300
_STAMP = re.compile(r"^\[\d\d:\d\d:\d\d\]\s+|^(?:WARNING:\s+)?\S+\.(?:cc|cu|cpp|h|hpp|cuh):\d+:\s*")


@contextmanager
def foreign() -> Iterator[None]:
    """Turn whatever an estimator, or a library behind it, raises into a refusal that names the kind of error.

    Raises:
        TrainingError: anything but our own errors was raised; one line.
    """
    try:
        yield
    except PerennialError:
        raise
    except Exception as error:  # odd parameters make estimators raise any class: it may cost no more than a candidate
        raise TrainingError(f"{type(error).__name__}: {first_line(error)}") from error


def first_line(error: BaseException | str) -> str:
    """The first line of an error or a warning, kept short: what a refusal or a note says.

    The time and the source path that XGBoost puts in front are left out, so that two runs say the same.
    """
    text = str(error).strip() or type(error).__name__
    while (found := _STAMP.match(text)) and found.end() < len(text):
        text = text[found.end() :]
    return text.splitlines()[0][:LONGEST]
