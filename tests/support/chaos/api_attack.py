"""What an answer to anything hostile must be, and what was amiss in those that came."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from tests.support.chaos.api_corpus import MARK, NAME_MARK, Hostile
from tests.support.chaos.api_requests import Odd
from tests.support.chaos.api_send import Reply, Request, Send
from tests.support.chaos.tally import Findings

PROBLEM = "application/problem+json"
MEMBERS = {"type", "title", "status", "detail", "request_id"}
MOST_BYTES = 200_000
"""Of a problem, which shall not be a means to make others send more than they were sent."""
REFUSED = frozenset(range(400, 500))
ANY = REFUSED | {200, 201, 202}
NAMED = (
    "/models/iris/predict", "/models/mixed/predict", "/models/pets/predict", "/models/iris/feedback",
    "/models/iris/batches",
)  # fmt: skip
"""Routes that take bodies, of an API of three models."""
UNNAMED = ("/predict", "/feedback", "/batches")
"""Those of an API of one."""


def of_bodies(cases: Iterable[Hostile], routes: Callable[[int, Hostile], Sequence[str]]) -> Iterator[Odd]:
    """Bodies to routes, which the number of a case and the case choose.

    What a prediction of the case's own model may answer is known; elsewhere it may be a legal body.
    """
    for number, case in enumerate(cases):
        headers = ((("content-type", case.content_type),) if case.content_type else ()) + case.headers
        for route in routes(number, case):
            request = Request("POST", route, headers, case.body, case.chunked)
            own = route == f"/models/{case.model}/predict" or (route == "/predict" and case.model == "iris")
            allowed = case.statuses or REFUSED if own else ANY
            yield Odd(case.family, f"{case.name} to {route}", request, allowed)


def attack(requests: Iterable[Odd], ways: Mapping[str, Send], findings: Findings) -> None:
    """Send each request by each way, look at the answers, and see that they are the same."""
    for odd in requests:
        statuses = []
        for way, send in ways.items():
            reply = send(odd.request)
            findings.tried[odd.family] += 1
            statuses.append(reply.status)
            for what in amiss(reply, odd.statuses or REFUSED, head=odd.request.method == "HEAD"):
                findings.add(odd.family, f"{odd.name}, {way}: {what}")
        if odd.alike and len(set(statuses)) > 1:
            findings.add(odd.family, f"{odd.name}: {statuses} by {', '.join(ways)}")


def amiss(reply: Reply, allowed: frozenset[int], *, head: bool = False) -> list[str]:
    """What is wrong with an answer: its status, its form, or what it gives back of what was sent."""
    if reply.status == 0:
        return [f"no answer: {reply.body.decode()}"]
    found = []
    if reply.status not in allowed:
        found.append(f"status {reply.status}: {reply.body[:200]!r}")
    if reply.status >= 400 and not head:
        found += _no_problem(reply)
    headers = " ".join(f"{name}: {value}" for name, value in reply.headers.items())
    if MARK.encode() in reply.body or MARK in headers or NAME_MARK in headers:
        found.append("what was sent comes back")
    return found


def _no_problem(reply: Reply) -> list[str]:
    """Why an error is told by no problem of RFC 9457 that names fields at most."""
    kind = reply.headers.get("content-type")
    if kind != PROBLEM:
        return [f"an error as {kind}"]
    if len(reply.body) > MOST_BYTES:
        return [f"a problem of {len(reply.body):,} bytes"]
    try:
        said = json.loads(reply.body)
    except ValueError:
        return ["a problem that is no JSON"]
    if not isinstance(said, dict) or said.keys() - {"errors"} != MEMBERS:
        return ["a problem without its members"]
    found = []
    if said["status"] != reply.status or not str(said["type"]).startswith("urn:perennial:problem:"):
        found.append(f"a problem of {said['status']} {said['type']}")
    if not said["request_id"] or said["request_id"] != reply.headers.get("x-request-id"):
        found.append("no request id, or another than in its header")
    errors = said.get("errors", [])
    if any(one.keys() != {"field", "reason"} for one in errors):
        return [*found, "an error that names more than a field and a reason"]
    if NAME_MARK in " ".join([*(one["reason"] for one in errors), said["detail"], said["title"]]):
        found.append("a name comes back elsewhere than as a field")
    return found


def logged(lines: Iterable[str]) -> list[str]:
    """What a server should not have written: marks, other than in the lines of predictions, and stories of failures."""
    found = []
    for line in lines:
        prediction = line.startswith('{"kind":"perennial.prediction"')
        if not prediction and (MARK in line or NAME_MARK in line):
            found.append(f"a mark: {line[:300]}")
        if "Traceback" in line or '"level":"ERROR"' in line.replace(" ", ""):
            found.append(f"a failure: {line[:300]}")
    return found
