"""The shapes of what is said and told of batches, for the OpenAPI document and for tests; loaded only there."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from lambdas.api.shapes import Shape

Column = Annotated[str, Field(max_length=495)]
"""As long as ``keep.`` may stand before it in what a problem names."""


class NewBatch(Shape):
    """How a file is to be scored. Null, or nothing at all, is as the model's spec says."""

    name: str | None = Field(default=None, max_length=255, description="What the file is called.")
    size: int | None = Field(default=None, ge=0, description="Its size in bytes: one that is too large is refused now.")
    output: Literal["csv", "parquet"] | None = None
    keep: bool | list[Column] | None = Field(
        default=None, description="Columns of the file to put beside its predictions; true for all of them."
    )


class Upload(Shape):
    """A form: POST `fields`, and then the file as the field `file`, to `url` as `multipart/form-data`."""

    method: Literal["POST"]
    url: str
    fields: dict[str, str]
    max_bytes: int
    expires_at: str


class CreatedBatch(Shape):
    """`id` is the key to the file and to what comes of it: whoever has it can see both. `job_id` is the same."""

    id: str
    job_id: str
    name: str
    upload: Upload
    status_url: str = Field(description="Where its state is told, below the API's address.")


class BatchModel(Shape):
    """`version` is null until the scoring has begun, and the same from then on."""

    name: str
    version: str | None


class BatchRows(Shape):
    """Rows so far, those of the header not counted: `read` is `scored` and `quarantined` together."""

    read: int
    scored: int
    quarantined: int


class BatchPreview(Shape):
    """The first rows of the results, as text."""

    columns: list[str]
    rows: list[list[str]]


class Download(Shape):
    """A file to get from `url`, by who knows it, until `expires_at`. Asking for the state again gives a new one."""

    url: str
    name: str
    size: int
    media_type: str
    expires_at: str


class BatchStatus(Shape):
    """A file that is scored. While it is `waiting`, `awaiting` says for what: its upload, or the start of scoring."""

    id: str
    name: str
    state: Literal["waiting", "scoring", "joining", "done", "failed"]
    awaiting: Literal["upload", "start"] | None
    progress: float = Field(ge=0, le=1)
    rows: BatchRows
    model: BatchModel
    created_at: str
    warnings: list[str]
    reason: str | None = Field(description="Why it failed.")
    preview: BatchPreview | None
    results: Download | None
    quarantine: Download | None = Field(description="The rows that were refused, each with its reason.")
