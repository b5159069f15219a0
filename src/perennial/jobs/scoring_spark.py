"""A run of Spark on this machine, in an environment of its own: where no application on EMR Serverless is named."""

from __future__ import annotations

import os
import signal
import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from perennial.errors import SettingsError, Unscored
from perennial.jobs.followed import followed
from perennial.jobs.local import job_environment
from perennial.jobs.scoring_results import ScoringHandedOver
from perennial.jobs.scoring_submit import scoring_hand_over
from perennial.jobs.workspace import Workspace

VARIABLE = "PERENNIAL_SPARK_PYTHON"
JOB = "perennial.scoring.spark_job"
REPOSITORY = Path(__file__).resolve().parents[3]
LAST_LINES = 3


def scoring_spark(w: Workspace) -> ScoringHandedOver:
    """Score the files of this run by Spark, here; a repeated run finds what has its result already.

    Raises:
        SettingsError: there is no environment with Spark.
        Unscored: the job ended with an error; says its last lines.
        NotFoundError: the files are not listed, or there is no champion.
    """
    python = interpreter(os.environ)
    handed = scoring_hand_over(w)
    command = [str(python), "-m", JOB, *handed.arguments]
    code, last = _run(command, spark_environment(os.environ, w), w.progress)
    if code:
        said = " ".join(last) or "it said nothing"
        raise Unscored(f"The job of Spark ended with exit code {code}: {said}", remedy="Its output says more.")
    return handed


def interpreter(env: Mapping[str, str], repository: Path = REPOSITORY) -> Path:
    """The Python that has Spark: ``PERENNIAL_SPARK_PYTHON``, or that of the repository's own environment.

    Raises:
        SettingsError: there is none, or what is named is none.
    """
    if named := env.get(VARIABLE):
        if os.access(named, os.X_OK):
            return Path(named)
        raise SettingsError(f"{named} cannot be run.", remedy=f"{VARIABLE} names the Python that has Spark.")
    own = repository / ".local/envs/spark/bin/python"
    if own.exists():
        return own
    raise SettingsError(
        "These files are for Spark, and there is no Spark.",
        remedy=f"Name an application on EMR Serverless by PERENNIAL_SPARK_APPLICATION (and PERENNIAL_SPARK_ROLE), or "
        f"by {VARIABLE} a Python with perennial[spark] on this machine; with `batch: {{engine: lambda}}` functions "
        "score them.",
    )


def spark_environment(env: Mapping[str, str], w: Workspace, repository: Path = REPOSITORY) -> dict[str, str]:
    """What the job sees: this process's variables, the settings of the run, and the Java that set-up has found."""
    found = {**(w.settings.exports() if w.settings else {}), **job_environment(env)}
    note = repository / ".local/java"
    if not found.get("JAVA_HOME") and note.is_file():
        found["JAVA_HOME"] = note.read_text().strip()
    return found


def _run(command: Sequence[str], env: Mapping[str, str], say: Callable[[str], None]) -> tuple[int, Sequence[str]]:
    """Run a command to its end, saying each line; gives its exit code and its last lines."""
    last: deque[str] = deque(maxlen=LAST_LINES)
    with subprocess.Popen(  # noqa: S603 - our own job
        followed(command), env=dict(env), text=True, errors="replace", start_new_session=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        try:
            for raw in process.stdout:
                if line := raw.rstrip():
                    last.append(line)
                    say(line)
            return process.wait(), tuple(last)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
