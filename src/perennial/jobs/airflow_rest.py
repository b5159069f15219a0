"""Airflow's REST API, as far as runs and their approval need it.

No library: `urllib` and JSON. Credentials come from the environment when a client is made: ``PERENNIAL_AIRFLOW_TOKEN``,
or ``PERENNIAL_AIRFLOW_USER`` and ``PERENNIAL_AIRFLOW_PASSWORD``; without either, the token that a local Airflow gives
to anyone.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict

from perennial.errors import ConflictError, NotFoundError, PerennialError, SchedulerUnavailable, SettingsError

TIMEOUT_SECONDS = 30.0
ANYONE = "Anonymous"  # so Airflow's simple log-in calls who had to give no name
TOKEN, USER, PASSWORD = "PERENNIAL_AIRFLOW_TOKEN", "PERENNIAL_AIRFLOW_USER", "PERENNIAL_AIRFLOW_PASSWORD"


class TaskPlace(BaseModel):
    """One task of one run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dag_id: str
    run_id: str
    task_id: str

    @classmethod
    def parse(cls, text: str) -> TaskPlace:
        """Read ``DAG/RUN/TASK``, in which no part holds a slash. Raises SettingsError."""
        parts = text.split("/")
        if len(parts) != 3 or not all(parts):
            raise SettingsError(f"{text!r} is no task of a run.", remedy="Write DAG/RUN/TASK.")
        return cls(dag_id=parts[0], run_id=parts[1], task_id=parts[2])

    def __str__(self) -> str:
        return f"{self.dag_id}/{self.run_id}/{self.task_id}"

    @property
    def path(self) -> str:
        dag, run, task = (quote(part, safe="") for part in (self.dag_id, self.run_id, self.task_id))
        return f"dags/{dag}/dagRuns/{run}/taskInstances/{task}"


class AirflowRest:
    """A client of one Airflow. Its methods raise SchedulerUnavailable where it does not answer or refuses access,
    NotFoundError where it knows no such thing, and ConflictError where that was done already."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url.rstrip("/")
        self._token = token

    @classmethod
    def connect(cls, url: str, env: Mapping[str, str]) -> AirflowRest:
        """Get a token with what ``env`` holds. Raises SchedulerUnavailable."""
        if token := env.get(TOKEN):
            return cls(url, token)
        place = f"{url.rstrip('/')}/auth/token"
        if user := env.get(USER):
            return cls(url, _send("POST", place, {"username": user, "password": env.get(PASSWORD, "")})["access_token"])
        return cls(url, _send("GET", place)["access_token"])

    def get(self, path: str) -> dict[str, Any]:
        return self.send("GET", path)

    def send(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Call ``/api/v2/<path>`` and return the JSON it answers with."""
        return _send(method, f"{self.url}/api/v2/{path}", body, self._token)

    def request_of(self, place: TaskPlace) -> dict[str, Any]:
        """What a parked task asks of a person, and what was answered."""
        return self.get(f"{place.path}/-1/hitlDetails")

    def state_of(self, place: TaskPlace) -> str | None:
        """The task's state, such as ``awaiting_input``."""
        state: str | None = self.get(place.path)["state"]
        return state

    def answer(self, place: TaskPlace, option: str, reason: str = "", by: str = "") -> dict[str, Any]:
        """Choose an option of a parked task, which then goes on; ``by`` says who chose, in words of their own."""
        body = {"chosen_options": [option], "params_input": {"reason": reason, "by": by}}
        return self.send("PATCH", f"{place.path}/-1/hitlDetails", body)


def answered_by(user: Mapping[str, Any] | None, given: str | None) -> str:
    """Who answered: the user that Airflow knows, and the name given with the answer; empty where it is neither.

    An Airflow without log-in calls everyone the same, so that the given name alone says something. Another one vouches
    for its user alone.
    """
    known = str((user or {}).get("name") or (user or {}).get("id") or "")
    told = " ".join((given or "").split())[:200]
    if not told or told == known:
        return known
    return told if known in ("", ANYONE) else f"{told} (as {known})"


def _send(method: str, url: str, body: object = None, token: str | None = None) -> dict[str, Any]:
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 - the address is the owner's
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310
            answer: dict[str, Any] = json.loads(response.read() or b"{}")
            return answer
    except urllib.error.HTTPError as error:
        raise _refusal(error, url) from error
    except (OSError, ValueError) as error:
        raise SchedulerUnavailable(
            f"Airflow at {url} does not answer ({error}).", remedy="Is it running? See PERENNIAL_AIRFLOW_URL."
        ) from error


def _refusal(error: urllib.error.HTTPError, url: str) -> PerennialError:
    said = error.read(2000).decode(errors="replace")
    with suppress(ValueError, AttributeError):
        said = str(json.loads(said).get("detail", said))
    said = " ".join(said.split())[:300]
    match error.code:
        case 404:
            return NotFoundError(f"Airflow: {said}", remedy="Was the run deleted?")
        case 409:
            return ConflictError(f"Airflow: {said}")
        case 401 | 403:
            remedy = f"Set {TOKEN}, or {USER} and {PASSWORD}, of someone who may act on this DAG."
            return SchedulerUnavailable(f"Airflow refuses access to {url} ({error.code}): {said}", remedy=remedy)
        case _:
            return SchedulerUnavailable(f"Airflow answered {error.code} at {url}: {said}")
