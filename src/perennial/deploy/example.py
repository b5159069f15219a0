"""A record that a model's own schema allows, for asking it whether it answers."""

from __future__ import annotations

import base64
import io
from typing import Any

PIXELS = 64


def example_of(schema: dict[str, Any]) -> dict[str, Any]:
    """One record of a model's JSON Schema, with all that is required; a gray square where it asks for a picture."""
    required = set(schema.get("required", ()))
    found = {name: _value(one) for name, one in schema["properties"].items() if name in required}
    return found or {name: _value(one) for name, one in schema["properties"].items()}


def _value(schema: dict[str, Any]) -> Any:
    for member in schema.get("anyOf", ()):
        if member.get("type") != "null":
            return _value(schema | member | {"anyOf": ()})
    if schema.get("contentEncoding") == "base64":
        return base64.b64encode(_picture()).decode()
    for name in ("examples", "enum"):
        if schema.get(name):
            return schema[name][0]
    if "const" in schema:
        return schema["const"]
    if schema.get("type") in ("number", "integer"):
        return _number(schema)
    return "x"


def _number(schema: dict[str, Any]) -> float | int:
    """A number within its bounds: the least one that is none too small, else the largest, else 1."""
    number = schema.get("minimum", schema.get("maximum", 1))
    return int(number) if schema.get("type") == "integer" or float(number).is_integer() else number


def _picture() -> bytes:
    from PIL import Image

    sink = io.BytesIO()
    Image.new("RGB", (PIXELS, PIXELS), (120, 130, 140)).save(sink, "PNG")
    return sink.getvalue()
