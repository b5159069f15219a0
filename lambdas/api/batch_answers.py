"""What is told of a batch: links signed at the moment they are asked for, and everything else as S3 has it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from perennial.serving.batch_job import BatchOutput, BatchRequest
from perennial.serving.batch_state import BatchState
from perennial.serving.file_names import disposition, saved_as
from perennial.serving.presign import Form, Links

DOWNLOAD_LASTS = timedelta(minutes=15)


def told_as_new(identifier: str, ordered: BatchRequest, form: Form, max_bytes: int) -> dict[str, Any]:
    """The answer to who ordered a batch."""
    assert ordered.expires is not None
    return {
        "id": identifier,
        "job_id": identifier,
        "name": ordered.name,
        "upload": {
            "method": "POST",
            "url": form.url,
            "fields": dict(form.fields),
            "max_bytes": max_bytes,
            "expires_at": _iso(ordered.expires),
        },
        "status_url": f"/models/{ordered.model}/batches/{identifier}",
    }


def told(identifier: str, state: BatchState, now: datetime, links: Links) -> dict[str, Any]:
    """The answer to who asks how far a batch is.

    Raises:
        SettingsError: there are results, and nothing to sign links to them with.
    """
    request, counts, preview = state.request, state.counts, state.preview

    def link(output: BatchOutput | None, word: str) -> dict[str, Any] | None:
        if output is None:
            return None
        name = saved_as(request.name, f".{word}.{output.key.rsplit('.', 1)[-1]}")
        url = links.download(
            output.key,
            now=now,
            lasting=DOWNLOAD_LASTS,
            disposition=disposition(name),
            media_type=output.media_type,
        )
        told = {"url": url, "name": name, "size": output.size, "media_type": output.media_type}
        return told | {"expires_at": _iso(now + DOWNLOAD_LASTS)}

    return {
        "id": identifier,
        "name": request.name,
        "state": state.state,
        "awaiting": state.awaiting,
        "progress": state.progress,
        "rows": {"read": counts.rows, "scored": counts.scored, "quarantined": counts.quarantined},
        "model": {"name": request.model, "version": state.version},
        "created_at": _iso(request.created),
        "warnings": list(state.warnings),
        "reason": state.reason,
        "preview": {"columns": preview.columns, "rows": preview.rows} if preview else None,
        "results": link(state.scored, "predictions"),
        "quarantine": link(state.quarantined, "quarantine"),
    }


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")
