"""The steps of the loop, each a plain function of a workspace: Airflow wires them, `cycle` runs them in order.

A step may be repeated at any time: its result is stored under the run's name by put-new and found again.
Heavy libraries are imported by the step that needs them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from perennial import keys
from perennial.errors import NotFoundError, PromotionRefused, TrainingError
from perennial.jobs.results import (
    GateResult,
    OutcomeResult,
    PromoteResult,
    RegisterResult,
    SelectResult,
    SnapshotResult,
    SmokeResult,
    StepResult,
    TrainResult,
)
from perennial.jobs.workspace import R, Workspace
