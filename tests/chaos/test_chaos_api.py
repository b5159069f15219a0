"""The API under requests that nobody means well by: never a failure, always a problem document, nothing given back.

Every request of the corpus goes both ways that the API is deployed: over HTTP to the server of the image, and as an
event of API Gateway through Mangum; the two must say the same. What else there is, schemathesis makes up
from the OpenAPI document.
"""

from __future__ import annotations

import io
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import pytest
from fastapi import FastAPI

from perennial.settings import LOCAL_CREDENTIALS
from tests.support.chaos.api_attack import ANY, NAMED, UNNAMED, amiss, attack, logged, of_bodies
from tests.support.chaos.api_corpus import Hostile
from tests.support.chaos.api_documents import with_models
from tests.support.chaos.api_forms import corpus
from tests.support.chaos.api_mutants import by_default, in_plain_text, talkative, without_a_limit
from tests.support.chaos.api_requests import Odd, broken, odd
from tests.support.chaos.api_schemathesis import PHASES, Explored, explore
from tests.support.chaos.api_send import Request, converse, over_http, through_events
from tests.support.chaos.api_world import Targets, targets
from tests.support.chaos.scale import Scale
from tests.support.chaos.served import Served, serving
from tests.support.chaos.tally import Findings, Row, Tally
from tests.support.models import IRIS_RECORD, MIXED_RECORD

CHECK = "API"
WAIT = 0.5
"""Seconds that a server is given to answer what is no request."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Targets]:
    with targets(tmp_path_factory.mktemp("attacked")) as found:
        yield found


@pytest.fixture(scope="module")
def of_three(world: Targets) -> Iterator[Served]:
    with serving(world.three.variables) as served:
        yield served


@pytest.fixture(scope="module")
def of_one(world: Targets) -> Iterator[Served]:
    with serving(world.one.variables) as served:
        yield served


@pytest.fixture(scope="module")
def bodies() -> list[Hostile]:
    return corpus()


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an app in this process signs links with."""
    for name, value in LOCAL_CREDENTIALS.items():
        monkeypatch.setenv(name, value)


def both_ways(served: Served, app: FastAPI, requests: Iterator[Odd]) -> Findings:
    """What was amiss, in answers or in what either wrote."""
    findings, heard, written = Findings(), len(served.said), io.StringIO()
    with redirect_stdout(written):
        attack(requests, {"over HTTP": over_http(served.url), "as events": through_events(app)}, findings)
    assert served.lives
    for line in logged([*list(served.said)[heard:], *written.getvalue().splitlines()]):
        findings.add("lines of the logs", line)
    findings.tried["lines of the logs"] = len(served.said) - heard + len(written.getvalue().splitlines())
    return findings


def test_no_body_breaks_a_route_that_names_its_model(
    of_three: Served, world: Targets, bodies: list[Hostile], scale: Scale, tally: Tally
) -> None:
    """In short, each body goes to the model that it is about and to another route, in turns."""

    def routes(number: int, case: Hostile) -> Sequence[str]:
        return NAMED if scale.full else sorted({f"/models/{case.model}/predict", NAMED[number % len(NAMED)]})

    assert len(bodies) >= 40 and len({(case.family, case.name) for case in bodies}) == len(bodies)
    both_ways(of_three, world.three.app(), of_bodies(bodies, routes)).record(tally, CHECK, "bodies: ")


def test_no_body_breaks_a_route_without_a_name(
    of_one: Served, world: Targets, bodies: list[Hostile], scale: Scale, tally: Tally
) -> None:
    def routes(number: int, case: Hostile) -> Sequence[str]:
        return UNNAMED if scale.full else (UNNAMED[number % len(UNNAMED)],)

    both_ways(of_one, world.one.app(), of_bodies(bodies, routes)).record(tally, CHECK, "bodies: ")


def test_no_path_method_or_header_does(of_three: Served, world: Targets, tally: Tally) -> None:
    both_ways(of_three, world.three.app(), odd()).record(tally, CHECK, "requests: ")


def test_an_offer_of_another_protocol_is_declined_and_its_body_read(of_three: Served, tally: Tally) -> None:
    """As Java's client makes with every request; the body is one, even where it looks like the next request."""
    address, record = urlsplit(of_three.url), json.dumps(IRIS_RECORD).encode()
    offers = {"h2c": b"Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB", "websocket": b"upgrade"}
    smuggled = b"GET /models HTTP/1.1\r\nhost: a\r\n\r\n"
    for name, offer in offers.items():
        for body, status in ((record, b"200"), (smuggled, b"400")):
            head = b"POST /models/iris/predict HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
            last = head + b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(body) + body
            head += b"connection: %s\r\nUPGRADE: %s\r\n" % (offer, name.encode())
            whole = head + b"content-length: %d\r\n\r\n" % len(body) + body
            pieces = head + b"transfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
            sent = [whole * 30 + pieces + last, pieces[:50], pieces[50:-20], pieces[-20:] + last]
            for data, count in ((sent[:1], 32), (sent[1:], 2)):
                found = re.findall(rb"HTTP/1\.1 (\d+)", b"".join(exchanged(address, data)))
                wrong = found != [status] * count
                tally.record(Row(CHECK, f"requests: an offer of {name}", count, wrong=wrong))
    offer = b"host: a\r\nconnection: upgrade\r\nupgrade: h2c\r\ncontent-length: 1\r\n\r\na"
    for line in (b"CONNECT a:1", b"POST http://[", b"POST a b"):
        said = b"".join(exchanged(address, [line + b" HTTP/1.1\r\n" + offer]))
        found = re.findall(rb"HTTP/1\.1 (\d+)", said)
        assert found == [b"400"] and b"application/problem+json" in said, (line, said)
    assert not [line for line in of_three.said if "Traceback" in line]


def exchanged(address: SplitResult, pieces: Sequence[bytes]) -> Iterator[bytes]:
    """All that a server says to these pieces, until it hangs up."""
    with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=60) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(0.02)
        while data := connection.recv(65_536):
            yield data


def test_what_is_no_http_hinders_nobody(of_three: Served, tally: Tally) -> None:
    """All of it at once, while somebody else is answered; who sends half a request is waited for meanwhile."""
    address, wrong = urlsplit(of_three.url), list[str]()
    ask = over_http(of_three.url)

    def send(name: str, data: bytes) -> None:
        reply = converse(str(address.hostname), int(address.port or 0), data, seconds=WAIT)
        if reply.status:  # none at all is the end of a connection, or a server that waits for the rest
            wrong.extend(f"{name}: {what}" for what in amiss(reply, ANY | {101}))

    cases = list(broken())
    threads = [threading.Thread(target=send, args=(case.name, case.data)) for case in cases]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        reply = ask(next(odd()).request)
        if reply.status != 404:
            wrong.append(f"somebody else: {reply}")
        time.sleep(0.05)
    for thread in threads:
        thread.join()
    wrong += [line for line in of_three.said if "Traceback" in line]
    print(*wrong, sep="\n")
    tally.record(Row(CHECK, "requests: no HTTP", len(cases), wrong=len(wrong)))


@pytest.mark.parametrize(
    ("name", "mutant"),
    [
        ("errors as FastAPI has them", by_default),
        ("errors in plain text", in_plain_text),
        ("bodies without a limit", without_a_limit),
        ("bodies in the log", talkative),
    ],
)
def test_mutants_are_caught(
    name: str,
    mutant: Callable[[FastAPI, pytest.MonkeyPatch], FastAPI],
    world: Targets,
    bodies: list[Hostile],
    tally: Tally,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By a dozen bodies of each family, as events."""
    few: dict[str, list[Hostile]] = {}
    for case in bodies:
        if case.model == "iris" and (len(case.body) < 10_000 or mutant is without_a_limit):
            few.setdefault(case.family, []).append(case)
    requests = of_bodies([case for family in few.values() for case in family[:12]], lambda _, __: NAMED[:1])
    findings, written = Findings(), io.StringIO()
    with redirect_stdout(written):
        attack(requests, {"as events": through_events(mutant(world.three.app(), monkeypatch))}, findings)
    tally.mutant(CHECK, name, caught=bool(findings.why or logged(written.getvalue().splitlines())))
    print(*findings.why[:20], sep="\n")


def test_what_schemathesis_makes_up_is_answered_as_the_document_says(
    of_three: Served, of_one: Served, world: Targets, scale: Scale, tally: Tally, tmp_path: Path
) -> None:
    """Over the document that the server gives, with each model's own routes beside. Then all of it as events."""
    real = over_http(of_three.url)(Request("GET", "/openapi.json")).json
    document = tmp_path / "openapi.json"
    records: dict[str, dict[str, Any]] = {"iris": IRIS_RECORD, "mixed": MIXED_RECORD}
    most = world.three.settings.upload_bytes
    document.write_text(json.dumps(with_models(real, records, most)))
    phases = PHASES if scale.full else ("examples", "fuzzing", "stateful")
    examples, seed = scale.pick(5, 200), scale.random("schemathesis").getrandbits(31)
    runs = [(of_three, world.three, str(document))]
    if scale.full:
        runs.append((of_one, world.one, f"{of_one.url}/openapi.json"))
    total = 0
    for served, target, location in runs:
        folder = tmp_path / target.settings.bucket
        found = explore(location, served.url, folder, examples=examples, seed=seed, phases=phases)
        replayed(found, target.app())
        found.findings.record(tally, CHECK, "schemathesis: ")
        total += len(found.exchanges)
    assert total >= scale.pick(90, 5000)


def replayed(found: Explored, app: FastAPI) -> None:
    """Send it all again as events, which must be answered alike: paths aside that a gateway reads otherwise."""
    send, written = through_events(app), io.StringIO()
    with redirect_stdout(written):
        for phase, request, reply in ((one.phase, one.request, one.reply) for one in found.exchanges):
            again = send(request)
            if again.status != reply.status and "%2f" not in request.target.lower():
                found.findings.add(phase, f"{request}: {reply.status} over HTTP, {again.status} as an event")
    lines = written.getvalue().splitlines()
    found.findings.tried["lines of the logs"] += len(lines)
    for line in logged(lines):
        found.findings.add("lines of the logs", line)


def test_schemathesis_sees_what_its_document_does_not_know(world: Targets, tally: Tally, tmp_path: Path) -> None:
    with serving(world.one.variables, app="tests.support.chaos.api_undocumented:create_app") as served:
        only = ("--include-path", "/health")
        location = f"{served.url}/openapi.json"
        found = explore(location, served.url, tmp_path / "st", examples=1, seed=1, phases=("fuzzing",), only=only)
    print(*found.findings.why, sep="\n")
    tally.mutant(CHECK, "an answer that the document does not know", caught=found.findings.wrong["fuzzing"] > 0)
