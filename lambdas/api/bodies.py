"""Reading a request body: its type and size are settled before a byte of it is parsed."""

from __future__ import annotations

from fastapi import Request

from lambdas.api.problems import Problem

MAX_BYTES = 1_048_576
JSON = "application/json"


async def read_json(request: Request) -> bytes:
    """The body of a JSON request, at most 1 MiB once decoded.

    Raises:
        Problem: 415 for any other content type or charset, 413 for a larger body.
    """
    kind, _, parameters = request.headers.get("content-type", "").partition(";")
    charset = parameters.strip().lower().removeprefix("charset=").strip('"')
    if kind.strip().lower() != JSON or charset not in ("", "utf-8"):
        raise Problem(415, "unsupported-media-type", f"Send the record as {JSON}, in UTF-8.", headers={"accept": JSON})
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and len(declared) < 20 and int(declared) > MAX_BYTES:
        raise _too_large()
    body = b""
    async for chunk in request.stream():
        body = body + chunk if body else chunk
        if len(body) > MAX_BYTES:
            raise _too_large()
    return body


def _too_large() -> Problem:
    return Problem(413, "body-too-large", f"A body has at most {MAX_BYTES} bytes. Send fewer instances at once.")
