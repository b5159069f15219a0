"""What a client calls its file: as a part of a key, and as the name its results are saved under."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import quote

UNNAMED = "file"
LONGEST_STEM = 80
_ENDING = re.compile(
    r"(\.(csv|tsv|tab|txt|json|jsonl|ndjson|parquet|pq|zip|jpg|jpeg|png|webp|gif|bmp|tif|tiff))?(\.gz)?$", re.IGNORECASE
)
_ATTR_CHAR = "!#$&+^`|"
"""What RFC 5987 leaves as it is, beside what every URL does."""


def key_name(name: str) -> str:
    """A file name as one segment of a key: letters without accents, digits, dots, dashes; its ending is kept.

    The key is nobody's to choose: no folder, no ``..``, nothing a shell, a URL or a log would stumble over.
    """
    stem, ending = _split(name)
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", plain).strip("-_")[:LONGEST_STEM]
    return (plain or UNNAMED) + ending.lower()


def saved_as(name: str, ending: str) -> str:
    """What comes of a file, named after it: ``Kunden März.csv`` becomes ``Kunden März`` and ``ending``."""
    stem, _ = _split(name)
    return (stem[:LONGEST_STEM].strip(" .") or UNNAMED) + ending


def disposition(name: str) -> str:
    """The header Content-Disposition by which a browser saves a file under this name (RFC 6266).

    Old clients read an approximation in ASCII, all others the name itself.
    """
    plain = unicodedata.normalize("NFKD", name)
    plain = re.sub(r"[^\x20-\x7e]|[\"\\%]", lambda found: "" if unicodedata.combining(found[0]) else "_", plain)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe=_ATTR_CHAR)}"


def _split(name: str) -> tuple[str, str]:
    """The name without folders and what cannot be seen, and its ending where it is one of ours."""
    last = re.split(r"[/\\]", name)[-1]
    seen = "".join(character for character in last if unicodedata.category(character) not in _UNSEEN).strip()
    ending = _ENDING.search(seen)
    start = ending.start() if ending else len(seen)
    return seen[:start], seen[start:]


_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
