"""How long a scheduled scoring waits, and how much it takes on. Imports nothing, so that DAG files may read it."""

from __future__ import annotations

from datetime import timedelta

PATIENCE = timedelta(hours=6)
"""A file that was asked for this long ago and is not scored yet holds up no run any more."""

PAUSE = timedelta(minutes=1)
"""The longest time between two looks at how far the scoring is."""

MOST_FILES = 10_000
"""What one run takes on, the oldest first; the next one takes the rest."""
