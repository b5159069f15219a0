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
    if not _is_json(headers.get(b"content-type", b"")):
        raise Problem(415, "unsupported-media-type", f"Send the record as {JSON}, in UTF-8.", headers={"accept": JSON})
    if headers.get(b"content-encoding", IDENTITY).strip().lower() != IDENTITY:
        raise Problem(
            415, "unsupported-media-type", "Send the body as it is, without content-encoding.",
            headers={"accept-encoding": IDENTITY.decode()},
        )  # fmt: skip
    declared = headers.get(b"content-length", b"")
    if declared.isdigit() and (len(declared) > 18 or int(declared) > limit):
        raise _too_large(limit)
    body: bytes = b""
    while True:  # request.stream() does the same through two generators
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise Problem(400, "disconnected", "The connection ended before the body did.")
        body += message.get("body", b"")
        if len(body) > limit:
            raise _too_large(limit)
        if not message.get("more_body", False):
            return body


def _is_json(content_type: bytes) -> bool:
    if content_type == b"application/json":
        return True
    kind, _, parameters = content_type.decode("latin-1").lower().partition(";")
    charset = parameters.strip().removeprefix("charset=").strip('"')
    return kind.strip() == JSON and charset in ("", "utf-8")


def _too_large(limit: int) -> Problem:
    advice = " Send fewer instances at once." if limit == MAX_BYTES else ""
    return Problem(413, "body-too-large", f"A body has at most {limit} bytes.{advice}")
