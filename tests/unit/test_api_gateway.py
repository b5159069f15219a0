"""What a gateway let through runs that route and no other, however a path is spelled."""

from __future__ import annotations

import pytest
from mangum import Mangum

from lambdas.api.app import ROUTES, create_app
from lambdas.api.gateway import Gateway
from lambdas.api.handler import TEXT
from perennial.settings import Settings
from tests.support.events import LambdaContext, event
from tests.support.stores import Bucket


def answer(method: str, path: str, route_key: str | None) -> tuple[int, dict[str, str]]:
    app = create_app(Settings(bucket="bucket"), Bucket().store)
    adapter = Mangum(app, lifespan="off", text_mime_types=TEXT, custom_handlers=[Gateway])
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
