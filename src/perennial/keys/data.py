"""Keys of what models learn from: landing, datasets, pictures, extractors."""

from __future__ import annotations

import re
from typing import Literal

from perennial.keys.names import segment

LandingKind = Literal["landed", "feedback", "labels"]

_LISTING = re.compile(r"[^/]+-[0-9a-f]{16}\.parquet")


def landing(m: str, name: str = "") -> str:
    """What users and feedback bring; never modified."""
    return f"{m}/landing/{name}"


def dataset_blob(m: str, digest: str) -> str:
    return f"{m}/datasets/blobs/sha256/{digest}"


def datasets(m: str) -> str:
    """Prefix under which each dataset version has its manifest."""
    return f"{m}/datasets/"


def dataset_manifest(m: str, dataset_id: str) -> str:
    return f"{m}/datasets/{dataset_id}/manifest.json"


def quarantines(m: str) -> str:
    """Where refused rows stand, one file for each landing file that had any."""
    return f"{m}/datasets/quarantine/"


def quarantine(m: str, digest: str, schema: str) -> str:
    """Rows of one landing file (by its digest) that one schema (by its digest) refused."""
    return f"{m}/datasets/quarantine/{digest}-{schema[:16]}.jsonl"


def receipt(m: str, fingerprint: str) -> str:
    """Digest of a landing file as it was once read, by a hash of its key, size and ETag: saves reading it again."""
    return f"{m}/datasets/receipts/{fingerprint}.json"


def collected(m: str, kind: LandingKind, number: int) -> str:
    """The ``number``-th file of labelled predictions that went into landing: of ``feedback`` or ``labels``."""
    return landing(m, f"{kind}/{number:08d}.parquet")


def landing_kind(m: str, key: str) -> LandingKind:
    """How a file of landing came: collected from feedback, from label files, or landed by its owner."""
    kinds: tuple[LandingKind, ...] = ("feedback", "labels")
    for kind in kinds:
        if key.startswith(landing(m, f"{kind}/")):
            return kind
    return "landed"


def landed_by_hand(m: str, key: str) -> bool:
    """Whether its owner put a file into landing, and so can mend it: it was neither collected, pulled nor gathered."""
    made = key.startswith(landing(m, "sql/")) or is_gathered(m, key)
    return landing_kind(m, key) == "landed" and not made


def pulled(m: str, source: str, number: int) -> str:
    """The ``number``-th file that a SQL source brought."""
    return landing(m, f"sql/{source}/{number:08d}.parquet")


def pulled_files(m: str, source: str) -> str:
    """Prefix of the files that a SQL source brought."""
    return landing(m, f"sql/{source}/")


def pull_staging(m: str, source: str, run: str) -> str:
    """What a query gave in one run, before the rows that are there already are taken out; it may be removed then."""
    return f"_perennial/staging/{m}/{source}/{segment(run)}.parquet"


def image(m: str, digest: str) -> str:
    """The bytes of one picture, landed or asked about, by their SHA-256 (hex): put-new."""
    return f"{m}/images/sha256/{digest}"


def gathered(m: str, number: int) -> str:
    """The ``number``-th listing of pictures that were found loose in landing, or fetched from addresses."""
    return landing(m, f"gathered/{number:08d}.parquet")


def gathered_files(m: str) -> str:
    """Prefix of the listings of what was gathered."""
    return landing(m, "gathered/")


def is_gathered(m: str, key: str) -> bool:
    """Whether a file of landing is such a listing; a picture of a class of that name is none."""
    return _numbered(key.removeprefix(gathered_files(m)))


def listing(m: str, name: str, digest: str) -> str:
    """A listing of pictures that were landed together from ``name``, by the SHA-256 (hex) of its bytes."""
    return landing(m, f"listings/{name}-{digest[:16]}.parquet")


def is_listing(m: str, key: str) -> bool:
    """Whether a file of landing lists pictures that are stored: landed, gathered, or asked about."""
    name = key.removeprefix(landing(m))
    folder, _, leaf = name.partition("/")
    if folder == "listings":
        return _LISTING.fullmatch(leaf) is not None
    return folder in ("gathered", "feedback", "labels") and _numbered(leaf)


def _numbered(name: str) -> bool:
    return re.fullmatch(r"\d{8}\.parquet", name) is not None


def backbone(name: str) -> str:
    """What a name of a frozen extractor stands for: put-new, so that it never means another."""
    return f"_perennial/backbones/{name}.json"


def backbones() -> str:
    return "_perennial/backbones/"


def backbone_blob(digest: str) -> str:
    """The graph of an extractor, by its SHA-256 (hex)."""
    return f"_perennial/backbones/sha256/{digest}"
