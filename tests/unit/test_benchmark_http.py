"""Those who ask over HTTP in the benchmark: answers in whatever parts they arrive, and none but 200."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from benchmarks.figures import Key
from benchmarks.http import Measured, figures_of
from benchmarks.http_load import Address, LoadError, Reader, Turn, ask, load, request_of
from benchmarks.http_servers import BARE, BENTOML, HELLO, LITSERVE, MLFLOW, OURS, QUEUED

BODY = b'{"a": "\r\n\r\n"}'
ANSWER = b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: %d\r\nX-Content-Length-Of: 3\r\n\r\n%s" % (len(BODY), BODY)
REFUSED = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 5\r\n\r\nlater"


@pytest.mark.parametrize("place", range(1, len(ANSWER)))
def test_an_answer_is_put_together_wherever_it_was_cut(place: int) -> None:
    reader = Reader()
    assert reader.feed(ANSWER[:place]) is None
    assert reader.feed(ANSWER[place:]) == BODY
    assert reader.feed(ANSWER) == BODY, "it is ready for the next one"


def test_an_answer_may_come_byte_by_byte_and_be_empty() -> None:
    reader = Reader()
    found = [reader.feed(ANSWER[place : place + 1]) for place in range(len(ANSWER))]
    assert found == [None] * (len(ANSWER) - 1) + [BODY]
    assert reader.feed(b"HTTP/1.1 200 \r\ncontent-length: 0\r\n\r\n") == b""


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (REFUSED, "503 Service Unavailable: b'later'"),
        (b"HTTP/1.1 2000 No\r\ncontent-length: 0\r\n\r\n", "2000 No"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "does not say how long"),
        (ANSWER + b"H", "1 bytes came that nobody asked for"),
    ],
    ids=["refused", "another status", "of unknown length", "too much"],
)
def test_what_is_no_whole_answer_of_200_is_an_error(answer: bytes, reason: str) -> None:
    with pytest.raises(LoadError, match=reason):
        Reader().feed(answer)


@contextmanager
def answering(answers: list[bytes]) -> Iterator[tuple[Address, list[bytes]]]:
    """A server that gives each connection these answers in turn, the last one for good, each in two parts."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        asked: list[bytes] = []

        def serve(connection: socket.socket) -> None:
            with connection:
                for place in range(1_000_000):
                    try:
                        request = connection.recv(65_536)
                        if not request:
                            return
                        asked.append(request)
                        answer = answers[min(place, len(answers) - 1)]
                        connection.sendall(answer[:30])
                        connection.sendall(answer[30:])
                    except OSError:
                        return

        def accept() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname(), asked
        server.shutdown(socket.SHUT_RDWR)


def test_each_connection_asks_again_once_it_is_answered_and_all_requests_are_sent() -> None:
    with answering([ANSWER]) as (address, asked):
        requests = [request_of(address, "/predict", b"%d" % place) for place in range(3)]
        assert ask(address, requests[0]) == BODY
        turn = load(address, requests, connections=3, seconds=0.2)
    assert turn.seconds >= 0.2 and len(turn.latencies) >= 3
    assert len(asked) - 1 >= len(turn.latencies)
    assert set(asked[1:]) == set(requests)
    assert all(latency > 0 for latency in turn.latencies)


@pytest.mark.parametrize("answers", [[REFUSED], [ANSWER, ANSWER, REFUSED]], ids=["at once", "later"])
def test_one_refusal_ends_the_load(answers: list[bytes]) -> None:
    with answering(answers) as (address, _), pytest.raises(LoadError, match="503"):
        load(address, [request_of(address, "/", b"{}")], connections=2, seconds=30)


def test_a_connection_that_ends_before_the_answer_does_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(ANSWER[:40])

        threading.Thread(target=serve, daemon=True).start()
        with pytest.raises(LoadError, match="ended before"):
            ask(server.getsockname(), request_of(server.getsockname(), "/", b"{}"))


def test_a_request_says_how_long_it_is() -> None:
    head, _, body = request_of(("127.0.0.1", 80), "/models/m/predict", b'{"a":1}').partition(b"\r\n\r\n")
    assert head.startswith(b"POST /models/m/predict HTTP/1.1\r\nHost: 127.0.0.1:80\r\n")
    assert b"\r\nContent-Length: 7" in head and body == b'{"a":1}'


def of(*rates: float) -> Measured:
    return Measured(turns=[Turn([0.001] * int(rate), 1.0) for rate in rates])


def test_ours_is_divided_by_the_fastest_on_onnxruntime_within_each_round() -> None:
    found = {
        OURS: of(3000, 1000, 2000), LITSERVE: of(1000, 400, 500), QUEUED: of(900, 100, 400), BENTOML: of(300, 300, 300),
        MLFLOW: of(100, 50, 40), BARE: of(5000, 5000, 5000), HELLO: of(9000, 9000, 9000),
    }  # fmt: skip
    figures = {figure.key: figure for figure in figures_of(found)}
    assert figures[Key.HTTP_ONNX].value == 3
    assert LITSERVE in figures[Key.HTTP_ONNX].sides and QUEUED not in figures[Key.HTTP_ONNX].sides
    assert figures[Key.HTTP_MLFLOW].value == 30
    assert figures_of({OURS: of(1), HELLO: of(1)}) == []
