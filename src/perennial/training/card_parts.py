"""The building blocks of a card's HTML. Whatever came from data is escaped here."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape


def section(title: str, content: str) -> str:
    """A headed part of the page; nothing where there is no content (HTML)."""
    return f"<section><h2>{escape(title)}</h2>{content}</section>" if content else ""


def listed(items: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(item)}</li>' for item in items)}</ul>"


def figure(media_type: str, data: bytes, title: str, caption: str) -> str:
    """A picture that stands in the page itself."""
    source = base64.b64encode(data).decode()
    return (
        f'<figure><img src="data:{media_type};base64,{source}" alt="{escape(title)}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The first cell of each row is its heading."""
    top = f"<thead><tr>{''.join(f'<th scope=col>{escape(cell)}</th>' for cell in head)}</tr></thead>" if head else ""
    lines = (
        f"<tr><th scope=row>{escape(row[0])}</th>{''.join(f'<td>{escape(cell)}</td>' for cell in row[1:])}</tr>"
        for row in rows
    )
    return f"<table>{top}<tbody>{''.join(lines)}</tbody></table>"
