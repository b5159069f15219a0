"""The smoke test against an endpoint that answers anything at all: whatever is wrong leads to the way back."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from datetime import UTC, datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from lambdas.api.app import create_app
from perennial.datasets.landing import land
from perennial.datasets.load import Rows
from perennial.datasets.pictures import Pictures, put_picture
from perennial.errors import SmokeTestError
from perennial.images.record import read_record
from perennial.jobs import smoke, steps
from perennial.jobs.cycle import run_cycle
from perennial.jobs.results import PromoteResult
from perennial.jobs.workspace import Workspace
from perennial.serving.load import load
from perennial.serving.picture_requests import MAX_BYTES
from perennial.settings import Settings
from perennial.spec_source import parse_spec
from perennial.store import Store, memory_store
from tests.support.events import caller
from tests.support.models import promote
from tests.support.picture_models import build_pictures
from tests.support.pictures import pet_bytes, picture_bytes
from tests.support.shop import SPEC, write_rows

NOW = datetime(2026, 11, 21, tzinfo=UTC)
Answers = Callable[[str], bytes]


Asked = Callable[[str, str, bytes | None], bytes]


def endpoint(answers: Answers) -> AbstractContextManager[str]:
    """An API that says what it is told to: ``answers`` gets GET or POST."""
    return listening(lambda path, kind, body: answers("GET" if body is None else "POST"))


@contextmanager
def listening(asked: Asked) -> Iterator[str]:
    """A server whose answers ``asked`` gives to a path, a content type, and the body of a POST."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(None)

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers["Content-Length"])))

        def _answer(self, body: bytes | None) -> None:
            data = asked(self.path, self.headers.get("Content-Type", ""), body)
            self.send_response(200)
            self.send_header("Content-Length", str(len(data) + (data == CUT)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *given: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _either(answer: bytes, method: str) -> bytes:
    return SERVES if method == "GET" else answer


CUT = b'{"generation": 1'
SERVES = b'{"generation": 1}'


@pytest.fixture(scope="module")
def promoted(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    store: Store = memory_store()
    spec = parse_spec(SPEC)
    land(store, spec, write_rows(tmp_path_factory.mktemp("shop") / "first.csv", 300, 1))
    w = Workspace(spec, store, "one", "0123abc", None, lambda line: None, lambda: NOW)
    assert run_cycle(w).promoted
    return w


def at(w: Workspace, url: str) -> Workspace:
    return Workspace(w.spec, w.store, w.run, w.code, url, w.progress, w.now)


def right(w: Workspace) -> dict[str, Any]:
    """What a sound endpoint says of the row that is asked."""
    from perennial.datasets.load import load_split
    from perennial.jobs.state import dataset_of
    from perennial.serving.load import load

    version = steps.promote(w).version
    predictor = load(w.store, w.spec.name, version)
    record = smoke.record_of(w, load_split(w.store, w.spec, dataset_of(w), "holdout"))
    found = predictor.predict([predictor.schema.validate(record)])[0]
    return {"prediction": found.prediction, "probabilities": found.probabilities, "model": {"version": version}}


def test_an_endpoint_that_says_the_same_passes(promoted: Workspace) -> None:
    answer = json.dumps(right(promoted)).encode()
    with endpoint(lambda method: SERVES if method == "GET" else answer) as url:
        assert steps.smoke(at(promoted, url)).endpoint == f"{url}/models/shop"


@pytest.mark.parametrize(
    "change",
    [
        {"prediction": 7},
        {"prediction": None},
        {"probabilities": None},
        {"probabilities": {"yes": "much", "no": 0}},
        {"probabilities": [0.5, 0.5]},
        {"model": "a name"},
        {"model": {"version": "another"}},
    ],
)
def test_an_answer_of_any_other_shape_fails(promoted: Workspace, change: dict[str, Any]) -> None:
    answer = json.dumps({**right(promoted), **change}).encode()
    with endpoint(lambda method: SERVES if method == "GET" else answer) as url, pytest.raises(SmokeTestError):
        steps.smoke(at(promoted, url))


@pytest.mark.parametrize("answer", [b"[]", b"null", b"<html>", b"", b'{"generation": null}', b'{"generation": 0}', CUT])
def test_an_endpoint_that_never_comes_to_serve_the_version_fails(
    promoted: Workspace, answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smoke, "PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(smoke, "PAUSE_SECONDS", 0.1)
    with endpoint(lambda method: answer) as url, pytest.raises(SmokeTestError, match="does not serve generation 1"):
        steps.smoke(at(promoted, url))


def test_an_address_that_is_none_fails(promoted: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smoke, "PATIENCE_SECONDS", 0.1)
    with pytest.raises(SmokeTestError):
        steps.smoke(at(promoted, "http://127.0.0.1:1 0/"))


class TestPictures:
    """Of a model of pictures, a holdout picture's own bytes are uploaded."""

    @pytest.fixture(autouse=True)
    def impatient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(smoke, "PATIENCE_SECONDS", 10.0)

    def served(self, *pictures: bytes) -> tuple[Workspace, Rows, PromoteResult]:
        store = memory_store()
        built = build_pictures()
        entry = promote(store, built)
        spec = built.manifest.spec
        digests = tuple(put_picture(store, spec.name, data) for data in pictures)
        rows = Rows(np.empty((0, 5)), np.empty(0), pa.table({}), Pictures(store, spec.name, digests))
        w = Workspace(spec, store, "one", "0123abc", None, lambda line: None, lambda: NOW)
        return w, rows, PromoteResult(version=entry.version, previous=None, generation=1)

    @contextmanager
    def api(self, w: Workspace) -> Iterator[str]:
        """The real handler behind HTTP, as API Gateway would call it."""
        call = caller(create_app(Settings(bucket="bucket"), w.store))

        def answer(path: str, kind: str, body: bytes | None) -> bytes:
            method = "GET" if body is None else "POST"
            asyncio.set_event_loop(loop)
            return bytes(call(method, path, body, headers={"content-type": kind}, encode=True).body, "utf-8")

        with closing(asyncio.new_event_loop()) as loop, listening(answer) as url:
            yield url

    @pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
    def test_the_real_handler_passes(self, format: str) -> None:
        w, rows, promoted = self.served(pet_bytes(1, format=format))
        with self.api(w) as url:
            found = smoke.smoke_test(at(w, url), promoted, rows)
        assert (found.version, found.endpoint) == (promoted.version, f"{url}/models/pets")

    def test_one_that_is_too_large_for_the_endpoint_is_passed_over(self) -> None:
        large = picture_bytes(np.random.default_rng(0).integers(0, 256, (1300, 1300, 3), np.uint8), "BMP")
        w, rows, promoted = self.served(large, pet_bytes(1))
        assert rows.pictures is not None and len(large) > MAX_BYTES
        predictor = load(w.store, "pets", promoted.version)
        assert smoke.picture_of(rows.pictures, predictor) == pet_bytes(1)
        alone = smoke.picture_of(rows.pictures.take([0]), predictor)
        assert len(alone) < MAX_BYTES
        assert np.array_equal(predictor.frame(read_record(alone)), predictor.frame(read_record(large)))

    def test_an_answer_that_is_no_rounding_away_fails(self) -> None:
        w, rows, promoted = self.served(pet_bytes(1))
        question = smoke.question_of(w, load(w.store, "pets", promoted.version), rows)
        chances = question.expected.probabilities or {}
        near = {name: value + sign * 5e-4 for (name, value), sign in zip(chances.items(), (1, -1), strict=True)}
        far = {name: value + sign * 5e-3 for (name, value), sign in zip(chances.items(), (1, -1), strict=True)}
        for probabilities, passes in ((near, True), (far, False)):
            said = {"prediction": question.expected.prediction, "probabilities": probabilities}
            answer = json.dumps(said | {"model": {"version": promoted.version}}).encode()
            with (
                endpoint(partial(_either, answer)) as url,
                nullcontext() if passes else pytest.raises(SmokeTestError, match="differs"),
            ):
                smoke.smoke_test(at(w, url), promoted, rows)
