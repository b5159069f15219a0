"""Which worker of a parallel run takes which files, and in which order."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from xdist.scheduler import LoadFileScheduling

ROOT = Path(__file__).parents[2]
SHARES = "from tests.support.airflow import Airflow, airflow\n"


class Turns(LoadFileScheduling):  # type: ignore[misc]  # it has no types
    """Files go to workers whole, in the order of the command line: what takes long comes first, and units fill up.

    All files that share the running Airflow are one piece of work, so that only one Airflow is started.
    """

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return "airflow" if shares_airflow(file) else file


@cache
def shares_airflow(file: str) -> bool:
    return SHARES in (ROOT / file).read_text()
