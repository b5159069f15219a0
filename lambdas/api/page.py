"""The OpenAPI document as one page of HTML: no script, no CDN, readable without a network."""

from __future__ import annotations

import base64
import hashlib
import json
from html import escape
from typing import Any

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}"
    "code,pre{font-family:ui-monospace,monospace;font-size:.9em}pre{overflow:auto;padding:1rem;border:1px solid #8886}"
    "h2{margin-top:2.5rem;border-top:1px solid #8886;padding-top:1rem}"
)
_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
POLICY = f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; form-action 'none'"


def render(document: dict[str, Any]) -> bytes:
    """The page. All text of the document is escaped: field names are whatever a model's columns are called."""
    sections = [
        _operation(method, path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]
    schemas = [
        f'<h3 id="{escape(name)}">{escape(name)}</h3>'
        f"<pre>{escape(json.dumps(schema, indent=2, ensure_ascii=False))}</pre>"
        for name, schema in document["components"]["schemas"].items()
    ]
    title = escape(document["info"]["title"])
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title} API</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>'
        f"<body><main>"
        f"<h1>{title} API</h1><p>{escape(document['info']['description'])} "
        f'The same for programs: <a href="openapi.json">openapi.json</a>.</p>'
        f"{''.join(sections)}<h2>Schemas</h2>{''.join(schemas)}</main></body></html>"
    ).encode()


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    taken = operation.get("requestBody", {}).get("content", {})
    lines = [f"<h2><code>{method.upper()} {escape(path)}</code></h2><p>{escape(operation.get('description', ''))}</p>"]
    if taken:
        lines.append(f"<p>Takes {_links(taken)}.</p>")
    answers = [
        f"<li>{status} {escape(answer['description'])} {_links(answer.get('content', {}))}</li>"
        for status, answer in operation["responses"].items()
    ]
    return "".join(lines) + f"<ul>{''.join(answers)}</ul>"


def _links(content: dict[str, Any]) -> str:
    """Each media type with links to the schemas it carries."""
    found = []
    for media_type, body in content.items():
        schema = body["schema"]
        names = [part["$ref"].rsplit("/", 1)[-1] for part in schema.get("anyOf", [schema]) if "$ref" in part]
        links = " or ".join(f'<a href="#{escape(name)}">{escape(name)}</a>' for name in names)
        found.append(f"<code>{escape(media_type)}</code> {links}".strip())
    return ", ".join(found)
