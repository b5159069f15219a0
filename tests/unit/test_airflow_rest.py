"""What is said when Airflow refuses, does not know, or does not answer: by a server here that does just that."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from perennial.errors import ConflictError, NotFoundError, PerennialError, SchedulerUnavailable
from perennial.jobs.airflow_rest import PASSWORD, TOKEN, USER, AirflowRest, TaskPlace, answered_by

PLACE = TaskPlace(dag_id="train_iris", run_id="manual__2026-11-21T03:00:00+00:00", task_id="approve")
CREDENTIALS = {"username": "ada", "password": "secret"}


class Server(ThreadingHTTPServer):
    """Answers every call to the API with ``status`` and ``body``; gives its token to ada, and to anyone if ``open``."""

    status, body, open = 200, b"{}", False
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[tuple[str, str, str | None, bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        self.server.seen.append((self.command, self.path, self.headers["Authorization"], body))
        if self.path == "/auth/token":
            known = self.server.open if self.command == "GET" else json.loads(body) == CREDENTIALS
            self._reply(201 if known else 401, b'{"access_token": "abc"}' if known else b'{"detail": "Who are you?"}')
        else:
            self._reply(self.server.status, self.server.body)

    do_POST = do_PATCH = do_GET  # noqa: N815

    def _reply(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as found:
        threading.Thread(target=found.serve_forever, args=(0.02,), daemon=True).start()
        yield found
        found.shutdown()


def test_an_answer_names_the_run_the_choice_and_the_reason(server: Server) -> None:
    AirflowRest(server.url + "/", "abc").answer(PLACE, "Approve", "it holds", "ada")
    method, path, token, body = server.seen[-1]
    assert (method, token) == ("PATCH", "Bearer abc")
    run = "manual__2026-11-21T03%3A00%3A00%2B00%3A00"
    assert path == f"/api/v2/dags/train_iris/dagRuns/{run}/taskInstances/approve/-1/hitlDetails"
    assert json.loads(body) == {"chosen_options": ["Approve"], "params_input": {"reason": "it holds", "by": "ada"}}


@pytest.mark.parametrize(
    ("user", "given", "who"),
    [
        ({"id": "1", "name": "Anonymous"}, "ada", "ada"),
        ({"id": "1", "name": "Anonymous"}, "", "Anonymous"),
        ({"id": "grace", "name": ""}, None, "grace"),
        ({"id": "7", "name": "pipeline"}, " ada\n", "ada (as pipeline)"),
        ({"id": "7", "name": "ada"}, "ada", "ada"),
        (None, "", ""),
    ],
)
def test_who_answered_is_whom_airflow_knows_and_the_name_that_was_given(
    user: dict[str, str] | None, given: str | None, who: str
) -> None:
    assert answered_by(user, given) == who


def test_credentials_are_a_token_or_a_name_or_none_where_airflow_asks_none(server: Server) -> None:
    AirflowRest.connect(server.url, {TOKEN: "mine"}).get("dags")
    assert server.seen[-1][2] == "Bearer mine"
    AirflowRest.connect(server.url, {USER: "ada", PASSWORD: "secret"}).get("dags")
    assert server.seen[-1][2] == "Bearer abc"
    server.open = True
    assert AirflowRest.connect(server.url, {}).get("dags") == {}


@pytest.mark.parametrize("env", [{}, {USER: "ada", PASSWORD: "wrong"}])
def test_without_the_right_credentials_the_error_names_the_variables(server: Server, env: dict[str, str]) -> None:
    with pytest.raises(SchedulerUnavailable, match="refuses access") as error:
        AirflowRest.connect(server.url, env)
    assert TOKEN in str(error.value.remedy) and PASSWORD in str(error.value.remedy)
    assert "wrong" not in str(error.value)


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (404, b'{"detail": "no such run"}', NotFoundError, "no such run"),
        (409, b'{"detail": "already answered"}', ConflictError, "already answered"),
        (403, b'{"detail": "Forbidden"}', SchedulerUnavailable, "refuses access"),
        (500, b"<html>Oops\n\n</html>", SchedulerUnavailable, "answered 500"),
        (422, b'{"detail": [{"msg": "too short"}]}', SchedulerUnavailable, "too short"),
        (200, b"<html>a proxy's page</html>", SchedulerUnavailable, "does not answer"),
    ],
)
def test_each_refusal_is_one_line_of_its_own_kind(
    server: Server, status: int, body: bytes, kind: type[PerennialError], words: str
) -> None:
    server.status, server.body = status, body
    with pytest.raises(kind, match=words) as error:
        AirflowRest(server.url, "abc").state_of(PLACE)
    assert "\n" not in str(error.value)


def test_where_nobody_listens_the_error_says_where(server: Server) -> None:
    url = server.url
    server.shutdown()
    server.server_close()
    with pytest.raises(SchedulerUnavailable, match=url):
        AirflowRest.connect(url, {})
