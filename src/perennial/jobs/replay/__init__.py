"""Replay: a file in time order, played as if it arrived live, by the parts that serve and train in production."""

from perennial.jobs.replay.plan import Plan
from perennial.jobs.replay.play import Progress, replay
from perennial.jobs.replay.results import Replay

__all__ = ["Plan", "Progress", "Replay", "replay"]
