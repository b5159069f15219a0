"""What LocalStack finds by its entry points; nothing of it is imported before that."""

from __future__ import annotations

from typing import Any

from localstack.runtime import hooks
from localstack.services.cloudformation.resource_provider import CloudFormationResourceProviderPlugin
from localstack.services.lambda_.invocation.plugins import RuntimeExecutorPlugin


class ProcessExecutorPlugin(RuntimeExecutorPlugin):
    """``LAMBDA_RUNTIME_EXECUTOR=process``."""

    name = "process"

    def load(self, *args: Any, **kwargs: Any) -> Any:
        from localstack.services.lambda_.invocation.execution_environment import ExecutionEnvironment

        from perennial_localstack.executor import ProcessExecutor, log_group

        ExecutionEnvironment.get_log_group_name = log_group
        return ProcessExecutor


@hooks.on_infra_start()
def add_routes() -> None:
    """Say whose child this is, and answer for HTTP APIs."""
    from localstack.services.edge import ROUTER

    from perennial_localstack.http_api import APIS
    from perennial_localstack.identity import identity

    ROUTER.add("/_perennial/token", identity, methods=["GET"])
    APIS.add_to(ROUTER)


class ApiPlugin(CloudFormationResourceProviderPlugin):
    name = "AWS::ApiGatewayV2::Api"

    def load(self) -> None:
        from perennial_localstack.resources import ApiProvider

        self.factory = ApiProvider


class IntegrationPlugin(CloudFormationResourceProviderPlugin):
    name = "AWS::ApiGatewayV2::Integration"

    def load(self) -> None:
        from perennial_localstack.resources import IntegrationProvider

        self.factory = IntegrationProvider


class RoutePlugin(CloudFormationResourceProviderPlugin):
    name = "AWS::ApiGatewayV2::Route"

    def load(self) -> None:
        from perennial_localstack.resources import RouteProvider

        self.factory = RouteProvider
