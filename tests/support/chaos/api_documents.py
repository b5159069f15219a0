"""The OpenAPI document of an API with the routes of each model of tables beside, by its own record and columns."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any


def with_models(document: Mapping[str, Any], records: Mapping[str, Mapping[str, Any]], most: int) -> dict[str, Any]:
    """The document as it is, and what it leaves to the schema of each model that ``records`` has a record of.

    What is added says of bodies what is true of that model, so whatever fits it has to be taken. ``most`` is how many
    bytes a file may have.
    """
    found = deepcopy(dict(document))
    for model, record in records.items():
        schema = found["components"]["schemas"][f"Record.{model}"]
        _say_dates(schema)
        for verb in ("predict", "feedback", "batches"):
            route = deepcopy(document["paths"][f"/models/{{model}}/{verb}"]["post"])
            route["operationId"] = f"{verb}-{model}"
            route["parameters"] = []
            route["requestBody"]["content"] = {"application/json": {}}
            found["paths"][f"/models/{model}/{verb}"] = {"post": route}
        body = {name: _body(found, f"/models/{model}/{name}") for name in ("predict", "feedback", "batches")}
        classes = schema["x-perennial"]["classes"]
        _predict(found["paths"][f"/models/{model}/predict"]["post"], model, record, classes[0])
        body["feedback"]["schema"] = _changed(found, "Feedback", ground_truth={"enum": classes})
        columns = {"enum": [*schema["properties"], "target"]}
        keep = {"anyOf": [{"type": "boolean"}, {"type": "array", "items": columns}, {"type": "null"}]}
        size = {"anyOf": [{"type": "integer", "minimum": 0, "maximum": most}, {"type": "null"}]}
        body["batches"]["schema"] = _changed(found, "NewBatch", keep=keep, size=size)
    return found


def _body(document: dict[str, Any], path: str) -> dict[str, Any]:
    content: dict[str, Any] = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    return content


def _changed(document: dict[str, Any], shape: str, **members: Any) -> dict[str, Any]:
    """One of the document's shapes with other members."""
    schema: dict[str, Any] = deepcopy(document["components"]["schemas"][shape])
    schema["properties"] |= members
    return schema


def _say_dates(schema: dict[str, Any]) -> None:
    """A pattern lets the thirtieth of February through; a format does not."""
    for member in schema["properties"].values():
        for kind in member.get("anyOf", ()):
            if kind.get("x-perennial-kind") == "date":
                kind.pop("pattern")
                kind["format"] = "date"


def _predict(route: dict[str, Any], model: str, record: Mapping[str, Any], truth: str) -> None:
    """Takes the model's own records; what is answered leads to feedback."""
    own = {"$ref": f"#/components/schemas/Record.{model}"}
    many = {
        "type": "object", "required": ["instances"], "additionalProperties": False,
        "properties": {"instances": {"type": "array", "items": own, "minItems": 1, "maxItems": 20}},
    }  # fmt: skip
    route["requestBody"]["content"]["application/json"] |= {
        "schema": {"anyOf": [own, many]},
        "examples": {"one": {"value": record}, "two": {"value": {"instances": [record] * 2}}},
    }
    body = {"prediction_id": "$response.body#/prediction_id", "feedback_token": "$response.body#/feedback_token"}
    link = {"operationId": f"feedback-{model}", "requestBody": {**body, "ground_truth": truth}}
    route["responses"]["200"]["links"] = {"truth": link}
