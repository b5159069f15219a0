"""HTTP APIs (API Gateway v2), which this LocalStack has only as a stub: routes, CORS and payload 2.0.

An API is what CloudFormation deployed by ``resources.py``; below ``/_aws/execute-api/{id}/$default/`` it answers, as
MiniStack's does. Events and answers are made by what LocalStack has for Function URLs, which speak the same payload.
There are no authorizers, stages or limits: a route that needs an authorizer is answered with 501.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from localstack.aws.connect import connect_to
from localstack.http import Request, Response, Router
from localstack.services.lambda_.invocation.lambda_models import InvocationResult
from localstack.services.lambda_.urlrouter import event_for_lambda_url, lambda_result_to_response

BASE = "/_aws/execute-api"


@dataclass(frozen=True)
class Route:
    """``key`` as API Gateway writes it, such as ``POST /models/{model}/predict``; ``target`` names an integration."""

    key: str
    target: str
    authorization: str = "NONE"

    def rank(self, method: str, path: str) -> tuple[int, int, int] | None:
        """How well it fits, if it does: API Gateway takes the route that leaves the least open."""
        if self.key == "$default":
            return (0, 0, 0)
        verb, _, pattern = self.key.partition(" ")
        if verb not in (method, "ANY"):
            return None
        greedy = re.sub(r"\\\{[^/{}]+\\\}", "[^/]+", re.sub(r"\\\{[^/{}]+\\\+\\\}", ".+", re.escape(pattern)))
        if not re.fullmatch(greedy, path):
            return None
        return (1 if "+}" in pattern else 2, -pattern.count("{"), 0 if verb == "ANY" else 1)


@dataclass
class Api:
    """One API: its CORS rules as CloudFormation spells them, and what was deployed into it, by id."""

    cors: dict[str, Any] = field(default_factory=dict)
    integrations: dict[str, str] = field(default_factory=dict)
    routes: dict[str, Route] = field(default_factory=dict)

    def route(self, method: str, path: str) -> Route | None:
        """The route that takes a request, if any does."""
        found = [(rank, route) for route in self.routes.values() if (rank := route.rank(method, path)) is not None]
        return max(found, key=lambda pair: pair[0])[1] if found else None

    def function(self, route: Route) -> str:
        """The ARN of the function behind a route."""
        return self.integrations[route.target.removeprefix("integrations/")]


class HttpApis:
    """All APIs of one LocalStack."""

    def __init__(self) -> None:
        self.apis: dict[str, Api] = {}

    def add_to(self, router: Router) -> None:
        """Have the gateway ask this."""
        for rule in (f"{BASE}/<name>/$default/", f"{BASE}/<name>/$default/<path:path>"):
            router.add(rule, self.answer)

    def answer(self, request: Request, name: str, path: str = "") -> Response:
        """One request to an API."""
        api = self.apis.get(name)
        if api is None:
            return _message(404, "Not Found")
        if request.method == "OPTIONS" and api.cors and "Access-Control-Request-Method" in request.headers:
            return self._with_cors(api, request, Response(status=204))
        event = event_for_lambda_url(name, request)
        raw = event["rawPath"].removeprefix(f"{BASE}/{name}/$default")
        route = api.route(request.method, raw)
        if route is None:
            return self._with_cors(api, request, _message(404, "Not Found"))
        if route.authorization != "NONE":
            return _message(501, f"{route.key}: no {route.authorization} authorizer here")
        context = event["requestContext"]
        event |= {"routeKey": route.key, "rawPath": raw}
        event["requestContext"] = context | {"routeKey": route.key, "http": context["http"] | {"path": raw}}
        return self._with_cors(api, request, _invoked(api.function(route), event))

    def _with_cors(self, api: Api, request: Request, response: Response) -> Response:
        allowed, origin = api.cors.get("AllowOrigins", []), request.headers.get("Origin")
        if not origin or not (origin in allowed or "*" in allowed):
            return response
        response.headers["Access-Control-Allow-Origin"] = origin
        if request.method == "OPTIONS":
            for name, rule in (("Methods", "AllowMethods"), ("Headers", "AllowHeaders")):
                response.headers[f"Access-Control-Allow-{name}"] = ",".join(api.cors.get(rule, []))
            response.headers["Access-Control-Max-Age"] = str(api.cors.get("MaxAge", 0))
        elif exposed := api.cors.get("ExposeHeaders"):
            response.headers["Access-Control-Expose-Headers"] = ",".join(exposed)
        return response


def _invoked(function: str, event: dict[str, object]) -> Response:
    answer = connect_to().lambda_.invoke(FunctionName=function, Payload=json.dumps(event).encode())
    if answer.get("FunctionError"):
        return _message(500, "Internal Server Error")
    request_id = answer["ResponseMetadata"]["RequestId"]
    return lambda_result_to_response(InvocationResult(request_id, answer["Payload"].read(), is_error=False, logs=None))


def _message(status: int, text: str) -> Response:
    return Response(json.dumps({"message": text}), status=status, mimetype="application/json")


APIS = HttpApis()
"""Those of this process."""
