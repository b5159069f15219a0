"""Steps of the loop as jobs. This module is all a DAG file needs, and imports nothing heavy."""

from perennial.jobs.local import JobFailed, run_step
from perennial.jobs.specs import SpecFile, find_specs

__all__ = ["JobFailed", "SpecFile", "find_specs", "run_step"]
