"""What a gateway let through runs that route and no other, however a path is spelled."""

from __future__ import annotations

import pytest

from lambdas.api.adapter import adapted
from lambdas.api.app import ROUTES, create_app
from perennial.settings import Settings
from tests.support.events import LambdaContext, event
from tests.support.stores import Bucket


def answer(method: str, path: str, route_key: str | None) -> tuple[int, dict[str, str]]:
    app = create_app(Settings(bucket="bucket"), Bucket().store)
    adapter = adapted(app)
    said = event(method, path, "{}") | {"routeKey": route_key}
    if route_key is None:
        del said["routeKey"]
    found = adapter(said, LambdaContext())  # type: ignore[arg-type]
    return found["statusCode"], found.get("headers", {})


@pytest.mark.parametrize(("method", "path"), [(method, path) for method, path, _ in ROUTES])
def test_a_route_that_the_gateway_did_not_choose_does_not_run(method: str, path: str) -> None:
    asked = path.replace("{model}", "iris").replace("{id}", "0" * 32)
    for other in ("$default", None, "GET /other", f"{method} {path}/more", "ANY /{proxy+}"):
        status, headers = answer(method, asked, other)
        assert status == 404, other
        assert headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["//models", "/models/", "/%6dodels", "/models/../models", "/x/models"])
def test_no_spelling_of_a_path_leads_around(path: str) -> None:
    assert answer("GET", path, "$default")[0] == 404
    assert answer("GET", path, "GET /health")[0] == 404


def test_what_it_chose_runs() -> None:
    assert answer("GET", "/health", "GET /health")[0] == 200
    assert answer("HEAD", "/health", "HEAD /health")[0] == 200


def test_a_method_that_a_page_has_not_is_still_told_so() -> None:
    status, headers = answer("DELETE", "/models", "$default")
    assert (status, headers["allow"]) == (405, "GET")


def changed(**changes: object) -> dict[str, object]:
    """What the handler gives for a prediction's event that was changed."""
    adapter = adapted(create_app(Settings(bucket="bucket"), Bucket().store))
    said = event("POST", "/models/iris/predict", "{}")
    headers = said["headers"] | changes.pop("headers", {})
    found: dict[str, object] = adapter(said | changes | {"headers": headers}, LambdaContext())  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize(
    "headers",
    [{"x-forwarded-port": "none"}, {"x-forwarded-port": "443,443"}, {"X-Forwarded-Port": "9" * 5000},
     {"host": "[::1]:443"}, {"host": "example.org:none"}, {"host": "a:b:c"}],
    ids=["word", "two", "digits", "version 6", "word behind a host", "colons"],
)  # fmt: skip
def test_an_address_that_is_none_hinders_nothing(headers: dict[str, str]) -> None:
    assert changed(headers=headers)["statusCode"] == 404


@pytest.mark.parametrize(
    ("body", "encoded"),
    [("abc", True), ("é{", True), ('{"a": "\ud800"}', False)],
    ids=["cut", "no letters", "surrogate"],
)
def test_a_body_that_is_not_as_its_event_says_is_answered(body: str, encoded: bool) -> None:
    assert changed(body=body, isBase64Encoded=encoded)["statusCode"] == 404
