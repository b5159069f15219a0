"""What CloudFormation makes of an HTTP API's resources, so that a template is deployed with all that it says."""

from __future__ import annotations

import secrets
from abc import abstractmethod
from typing import Any, ClassVar

from localstack.services.cloudformation.resource_provider import (
    OperationStatus,
    ProgressEvent,
    ResourceProvider,
    ResourceRequest,
)

from perennial_localstack.http_api import APIS, Api, Route

Model = dict[str, Any]


class _Provider(ResourceProvider[Model]):
    """A resource that is put under an id of its own, which is also what ``Ref`` gives."""

    ID: ClassVar[str]

    def create(self, request: ResourceRequest[Model]) -> ProgressEvent[Model]:
        return self._put(request, secrets.token_hex(5))

    def update(self, request: ResourceRequest[Model]) -> ProgressEvent[Model]:
        return self._put(request, request.previous_state[self.ID])

    def delete(self, request: ResourceRequest[Model]) -> ProgressEvent[Model]:
        model = request.previous_state or request.desired_state
        self.remove(model, model[self.ID])
        return ProgressEvent(status=OperationStatus.SUCCESS, resource_model=model)

    def _put(self, request: ResourceRequest[Model], name: str) -> ProgressEvent[Model]:
        model = {**request.desired_state, self.ID: name}
        self.put(model, name)
        return ProgressEvent(status=OperationStatus.SUCCESS, resource_model=model)

    @abstractmethod
    def put(self, model: Model, name: str) -> None:
        """Have what a model says."""

    @abstractmethod
    def remove(self, model: Model, name: str) -> None:
        """Have it no more."""


class ApiProvider(_Provider):
    TYPE, ID = "AWS::ApiGatewayV2::Api", "ApiId"
    SCHEMA: ClassVar[Model] = {"primaryIdentifier": ["/properties/ApiId"]}

    def put(self, model: Model, name: str) -> None:
        APIS.apis.setdefault(name, Api()).cors = model.get("CorsConfiguration") or {}

    def remove(self, model: Model, name: str) -> None:
        APIS.apis.pop(name, None)


class IntegrationProvider(_Provider):
    TYPE, ID = "AWS::ApiGatewayV2::Integration", "IntegrationId"
    SCHEMA: ClassVar[Model] = {"primaryIdentifier": ["/properties/IntegrationId"]}

    def put(self, model: Model, name: str) -> None:
        APIS.apis[model["ApiId"]].integrations[name] = model["IntegrationUri"]

    def remove(self, model: Model, name: str) -> None:
        APIS.apis.get(model["ApiId"], Api()).integrations.pop(name, None)


class RouteProvider(_Provider):
    TYPE, ID = "AWS::ApiGatewayV2::Route", "RouteId"
    SCHEMA: ClassVar[Model] = {"primaryIdentifier": ["/properties/RouteId"]}

    def put(self, model: Model, name: str) -> None:
        route = Route(model["RouteKey"], model["Target"], model.get("AuthorizationType") or "NONE")
        APIS.apis[model["ApiId"]].routes[name] = route

    def remove(self, model: Model, name: str) -> None:
        APIS.apis.get(model["ApiId"], Api()).routes.pop(name, None)
