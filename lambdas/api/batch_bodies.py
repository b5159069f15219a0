"""Reading what a client asks of a batch: every member may be left out, and so may the body."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from fastapi import Request
from pydantic_core import from_json

from lambdas.api.bodies import read_json
from lambdas.api.problems import Problem
from perennial.serving.batch_job import BatchOptions
from perennial.serving.file_names import UNNAMED
from perennial.serving.requests import MAX_PROBLEMS, BrokenJson
from perennial.spec import ModelSpec

MAX_BYTES = 65_536
MAX_NAME = 255
MAX_COLUMNS = 1000
MAX_COLUMN = 500


@dataclass(frozen=True)
class NewBatch:
    """What a client says of its file. None is said of what is left to the model's spec."""

    name: str = UNNAMED
    size: int | None = None
    output: Literal["csv", "parquet"] | None = None
    keep: bool | tuple[str, ...] | None = None


async def read_new_batch(request: Request, max_upload: int) -> NewBatch:
    """The body of a request for a batch, which may have none.

    Raises:
        BrokenJson: it is not JSON.
        Problem: as ``read_json``, 422 for any other member or value, 413 for a file of more than ``max_upload`` bytes.
    """
    headers: dict[bytes, bytes] = dict(request.scope["headers"])
    if b"content-type" not in headers and headers.get(b"content-length", b"0") == b"0":
        return NewBatch()
    given = parse(await read_json(request, MAX_BYTES) or b"{}")
    if given.size is not None and given.size > max_upload:
        raise Problem(413, "upload-too-large", f"A file has at most {max_upload:,} bytes. Send it in parts.")
    return given


def parse(body: bytes) -> NewBatch:
    """Raises BrokenJson, or Problem (422) naming each member that is wrong."""
    try:
        value = from_json(body, allow_inf_nan=False)
    except ValueError:
        raise BrokenJson((("body", "Invalid JSON"),)) from None
    if not isinstance(value, dict):
        raise _invalid([("body", "Input should be an object")])
    members: dict[str, Any] = {}
    wrong: list[tuple[str, str]] = []
    for name, member in json.loads(body, object_pairs_hook=tuple, parse_int=_whole):
        if name not in _MEMBERS:
            wrong.append(("body", f"Takes {', '.join(_MEMBERS)}, and nothing else"))
        elif name in members:
            wrong.append((name, "Is given more than once; send it once"))
        elif member is not None and not _MEMBERS[name][0](member):
            wrong.append((name, _MEMBERS[name][1]))
        else:
            members[name] = tuple(member) if isinstance(member, list) else member
    if wrong:
        raise _invalid(wrong)
    members["name"] = members.get("name") or UNNAMED
    if isinstance(members.get("size"), float):
        members["size"] = int(members["size"])
    return NewBatch(**members)


def options_of(given: NewBatch, spec: ModelSpec) -> BatchOptions:
    """How the file is to come back: as the client says, and where it says nothing, as the spec does.

    Raises:
        Problem: 422 naming each column to keep that the model does not know.
    """
    keep = spec.batch.keep if given.keep is None else given.keep
    if given.keep is not None and not isinstance(keep, bool):
        known = {*spec.features, spec.target.column, spec.id, spec.time}
        unknown = [name for name in keep if name not in known]
        if unknown:
            reason = "Is no column of this model; true keeps every column of the file"
            raise _invalid([(f"keep.{name}", reason) for name in unknown])
        keep = tuple(dict.fromkeys(keep))
    return BatchOptions(output=given.output or spec.batch.output, keep=keep)


def _whole(digits: str) -> int | float:
    """A number of JSON; one that no file has bytes for is no whole one, as Python does not read any length."""
    return int(digits) if len(digits) < 20 else float("inf")


def _is_size(value: object) -> bool:
    """A whole number, which JSON may spell with a point and zeros behind."""
    if isinstance(value, float):
        return value >= 0 and value.is_integer()
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_keep(value: object) -> bool:
    if isinstance(value, bool):
        return True
    return (
        isinstance(value, list)
        and len(value) <= MAX_COLUMNS
        and all(isinstance(name, str) and len(name) <= MAX_COLUMN - len("keep.") for name in value)
    )


_MEMBERS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "name": (
        lambda value: isinstance(value, str) and len(value) <= MAX_NAME,
        f"Input should be text of at most {MAX_NAME} characters",
    ),
    "size": (_is_size, "Input should be a number of bytes"),
    "output": (lambda value: value in ("csv", "parquet"), "Input should be 'csv' or 'parquet'"),
    "keep": (_is_keep, f"Input should be true, false, or at most {MAX_COLUMNS} names of columns"),
}


def _invalid(problems: list[tuple[str, str]]) -> Problem:
    found = tuple(dict.fromkeys(problems))[:MAX_PROBLEMS]
    return Problem(422, "invalid-batch", "This cannot be asked of a batch.", errors=found)
