"""Reading a request body: its type and size are settled before a byte of it is parsed."""

from __future__ import annotations

from fastapi import Request

from lambdas.api.problems import Problem

MAX_BYTES = 1_048_576
JSON = "application/json"
IDENTITY = b"identity"


async def read_json(request: Request, limit: int = MAX_BYTES) -> bytes:
    """The body of a JSON request, at most ``limit`` bytes once decoded.

    Raises:
        Problem: 415 for any other content type, charset or an encoding such as gzip, 413 for a larger body.
    """
    headers: dict[bytes, bytes] = dict(request.scope["headers"])
    if not is_json(headers.get(b"content-type", b"")):
        raise Problem(415, "unsupported-media-type", f"Send the record as {JSON}, in UTF-8.", headers={"accept": JSON})
    return await read_body(request, limit, advice=" Send fewer instances at once." if limit == MAX_BYTES else "")


async def read_body(request: Request, limit: int, *, advice: str = "") -> bytes:
    """The body of a request, at most ``limit`` bytes once decoded; ``advice`` is for one that has more.

    Raises:
        Problem: 415 for an encoding such as gzip, 413 for a larger body.
    """
    headers: dict[bytes, bytes] = dict(request.scope["headers"])
    if headers.get(b"content-encoding", IDENTITY).strip().lower() != IDENTITY:
        raise Problem(
            415, "unsupported-media-type", "Send the body as it is, without content-encoding.",
            headers={"accept-encoding": IDENTITY.decode()},
        )  # fmt: skip
    declared = headers.get(b"content-length", b"")
    if declared.isdigit() and (len(declared) > 18 or int(declared) > limit):
        raise _too_large(limit, advice)
    body = bytearray()
    while True:  # request.stream() does the same through two generators
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise Problem(400, "disconnected", "The connection ended before the body did.")
        part: bytes = message.get("body", b"")
        if len(body) + len(part) > limit:
            raise _too_large(limit, advice)
        if not message.get("more_body", False):
            return bytes(body + part) if body else part
        body += part


def is_json(content_type: bytes) -> bool:
    """Whether a content type says JSON in UTF-8."""
    if content_type == b"application/json":
        return True
    kind, _, parameters = content_type.decode("latin-1").lower().partition(";")
    charset = parameters.strip().removeprefix("charset=").strip('"')
    return kind.strip() == JSON and charset in ("", "utf-8")


def _too_large(limit: int, advice: str) -> Problem:
    return Problem(413, "body-too-large", f"A body has at most {limit:,} bytes.{advice}")
