"""What LocalStack finds by its entry points; nothing of it is imported before that."""

from __future__ import annotations

from typing import Any

from localstack.runtime import hooks
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

    from perennial_localstack.http_api import HttpApi
    from perennial_localstack.identity import identity

    ROUTER.add("/_perennial/token", identity, methods=["GET"])
    HttpApi().add_to(ROUTER)
