"""Our own code with one promise broken, for processes of steps; each must be caught by what finds no fault in ours."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any


def become(name: str) -> None:
    """Be this mutant from here on."""
    MUTANTS[name]()


def _random_op_id() -> None:
    from perennial.jobs.workspace import Workspace

    Workspace.operation = lambda self, step: f"{step}-{secrets.token_hex(8)}"  # type: ignore[method-assign]


def _no_run_in_keys() -> None:
    from perennial.jobs.workspace import Workspace

    Workspace.attempt = property(lambda self: "newest")  # type: ignore[assignment,method-assign]


def _time_in_artifact() -> None:
    workspace: Any = import_module("perennial.jobs.workspace")
    workspace.code_version = lambda folder: f"built at {time.time_ns()}"


def _overwrites() -> None:
    from perennial.store import Store

    def put_new(self: Store, key: str, data: bytes, *, served: Any = None) -> str:
        attributes = served.attributes() if served else None
        return str(self._raw.put(key, data, attributes=attributes, mode="overwrite", use_multipart=False)["e_tag"])

    Store.put_new = put_new  # type: ignore[method-assign]


def _no_op_id_scan() -> None:
    registry: Any = import_module("perennial.registry.registry")
    commit = registry.commit

    def at_the_head(log: Any, intent: Any, *given: Any) -> Any:
        newest = log.newest()
        return commit(log, intent.model_copy(update={"generation": newest.generation if newest else 0}), *given)

    registry.commit = at_the_head


def _outlives_its_caller() -> None:
    program: Any = import_module("perennial.jobs.__main__")
    program._follow = lambda: None


MUTANTS: dict[str, Callable[[], None]] = {
    "an op_id that is drawn anew": _random_op_id,
    "results kept under no run": _no_run_in_keys,
    "the time within a version": _time_in_artifact,
    "a step that overwrites": _overwrites,
    "promotion without a look for its own op_id": _no_op_id_scan,
    "a step that outlives its caller": _outlives_its_caller,
}
