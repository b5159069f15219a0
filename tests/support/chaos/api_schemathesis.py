"""schemathesis over an API, from an environment of its own: what it asked, what was answered, and its complaints."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from perennial.deploy.package import ROOT
from tests.support.chaos.api_attack import REFUSED, amiss
from tests.support.chaos.api_send import Reply, Request
from tests.support.chaos.tally import Findings

PROGRAM = ROOT / ".local/envs/schemathesis/bin/st"
PHASES = ("examples", "coverage", "fuzzing", "stateful")
BASE = """
[checks]
negative_data_rejection.expected-statuses = [400, 401, 403, 404, 405, 406, 409, 410, 413, 415, 422]
"""
CONFIG = r"""
[[operations]]
include-path-regex = '(^|\})/(predict|feedback|batches)$'
checks.positive_data_acceptance.enabled = false
"""
"""What a record, a truth and a column may be is each model's own: what fits all of them need not fit one."""


@dataclass(frozen=True)
class Exchange:
    """What was asked in which phase, and what came back."""

    phase: str
    request: Request
    reply: Reply


@dataclass
class Explored:
    """One run: its exchanges, and its complaints by phase."""

    exchanges: list[Exchange] = field(default_factory=list)
    findings: Findings = field(default_factory=Findings)


def explore(
    location: str, url: str, folder: Path, *, examples: int, seed: int, phases: Sequence[str] = PHASES,
    config: str = CONFIG, only: Sequence[str] = (),
) -> Explored:  # fmt: skip
    """Run it over a document, against the API at ``url``, with at most so many cases an operation in fuzzing.

    ``only`` are more options, such as those that select operations. Every answer is looked at twice: by its own checks,
    and by ours of problems.
    """
    folder.mkdir(parents=True)
    (folder / "st.toml").write_text(BASE + config)
    report = folder / "events.ndjson"
    command = [
        str(PROGRAM), "--config-file", "st.toml", "--no-color", "run", location, "--url", url, "--seed", str(seed),
        "--max-examples", str(examples), "--phases", ",".join(phases), "--continue-on-failure",
        "--report-ndjson-path", str(report), "--generation-database", "none", "--request-timeout", "60",
        "--suppress-health-check", "all", *only,
    ]  # fmt: skip
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    found = Explored()
    for line in report.read_text().splitlines() if report.is_file() else ():
        ((kind, event),) = json.loads(line).items()
        if kind == "ScenarioFinished":
            _read(event["phase"], event.get("recorder") or {}, found)
    # Whatever made it end so has to be among what was found: it may not have run at all.
    assert found.exchanges and (found.findings.why or not done.returncode), done.stdout[-5000:] + done.stderr[-5000:]
    return found


def _read(phase: str, recorder: dict[str, Any], found: Explored) -> None:
    for case, interaction in recorder.get("interactions", {}).items():
        found.findings.tried[phase] += 1
        exchange = Exchange(phase, _asked(interaction["request"]), _answered(interaction.get("response")))
        found.exchanges.append(exchange)
        request, reply = exchange.request, exchange.reply
        complaints = amiss(reply, REFUSED | {reply.status}, head=request.method == "HEAD")
        complaints += [one["name"] for one in recorder["checks"].get(case, ()) if one["status"] == "failure"]
        for what in complaints:
            asked = f"{request.method} {request.target[:200]} {request.body[:500]!r}"
            found.findings.add(phase, f"{asked}: {reply.status} {reply.body[:500]!r}: {what}")


def _asked(request: dict[str, Any]) -> Request:
    target = "/" + request["uri"].split("://", 1)[-1].partition("/")[2]
    headers = tuple((name.lower(), value) for name, values in request["headers"].items() for value in values)
    return Request(request["method"], target, headers, _bytes(request.get("body")))


def _answered(response: dict[str, Any] | None) -> Reply:
    if response is None:
        return Reply(0, {}, b"none came")
    headers = {name.lower(): ", ".join(values) for name, values in response["headers"].items()}
    return Reply(response["status_code"], headers, _bytes(response.get("content")))


def _bytes(given: Any) -> bytes:
    if isinstance(given, dict):
        return base64.b64decode(given["$base64"])
    return str(given or "").encode()
