"""LocalStack's Lambda provider, with a process where it would start a container."""

from __future__ import annotations

import os

from localstack.services.lambda_.invocation.execution_environment import ExecutionEnvironment
from localstack.services.lambda_.invocation.lambda_models import FunctionVersion, InvocationResult
from localstack.services.lambda_.invocation.runtime_executor import RuntimeExecutor

from perennial_localstack.runtime import Runtime, Work

KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR")


class ProcessExecutor(RuntimeExecutor):
    """Runs one function version in a process of LocalStack's own Python."""

    def start(self, env_vars: dict[str, str]) -> None:
        """Start the code, with what Lambda would say in its environment and nothing of LocalStack's own."""
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        self._environment = kept | {name: str(value) for name, value in env_vars.items()} | {"TZ": "UTC"}
        self._runtime = self._launch()

    def stop(self) -> None:
        self._runtime.end()

    def invoke(self, payload: dict[str, str]) -> InvocationResult:
        if not self._runtime.lives():
            self._runtime.end()
            self._runtime = self._launch()
        work = Work(
            request_id=payload["invoke-id"],
            arn=payload["invoked-function-arn"],
            trace=payload["trace-id"],
            event=payload["payload"].encode(),
            timeout=float(self.function_version.config.timeout),
        )
        self._runtime.run(work)
        return InvocationResult(work.request_id, work.answer, is_error=work.failed, logs=self._runtime.output())

    def get_address(self) -> str:
        return "127.0.0.1"

    def get_endpoint_from_executor(self) -> str:
        return "127.0.0.1"

    def get_runtime_endpoint(self) -> str:
        return "http://127.0.0.1"

    def get_logs(self) -> str:
        return self._runtime.output()

    @classmethod
    def prepare_version(cls, function_version: FunctionVersion) -> None:
        function_version.config.code.prepare_for_execution()

    @classmethod
    def cleanup_version(cls, function_version: FunctionVersion) -> None:
        function_version.config.code.destroy_cached()

    def _launch(self) -> Runtime:
        config = self.function_version.config
        return Runtime(config.code.get_unzipped_code_location(), config.handler, self._environment)


def log_group(environment: ExecutionEnvironment) -> str:
    """The log group that the function's LoggingConfig names, which LocalStack itself does not look at."""
    version = environment.function_version
    return (version.config.logging_config or {}).get("LogGroup") or f"/aws/lambda/{version.id.function_name}"
