"""What the log of a model is made of: its entries, the trials they tell of, and the intents kept before them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from perennial.canonical import Keyed, canonical
from perennial.errors import PromotionRefused

MAX_GENERATION = 99_999_999
MOST_BYTES = 1 << 16
"""What no entry exceeds, and no intent: servers read them again and again."""

Kind = Literal["promotion", "rollback", "trial", "trial_end"]
Mode = Literal["canary", "shadow"]


class Trial(BaseModel):
    """A challenger on trial beside the champion.

    A ``canary`` answers a stable ``share`` of the callers; a ``shadow`` answers nobody and looks at every request,
    which is a share of 1. ``began`` is the generation of the trial's first entry: a share that is changed goes on with
    the same trial, so that whoever was in a smaller share is in the larger one too.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    mode: Mode
    share: float = Field(gt=0, le=1)
    began: int = Field(ge=1, le=MAX_GENERATION)

    @model_validator(mode="after")
    def _shared(self) -> Self:
        if (self.mode == "shadow") != (self.share == 1):
            raise ValueError("a canary has a share between 0 and 1, a shadow looks at all")
        return self


class _Sparse(Keyed):
    """Written without what came with trials, where there is none of it: entries without trials keep their bytes.

    ``to_bytes`` raises PromotionRefused for one that nobody would read.
    """

    later: ClassVar[tuple[str, ...]] = ()

    def to_bytes(self) -> bytes:
        dumped = self.model_dump(mode="json")
        data = canonical({key: value for key, value in dumped.items() if value is not None or key not in self.later})
        if len(data) > MOST_BYTES:
            raise PromotionRefused(
                f"An entry of {len(data):,} bytes is more than the log takes ({MOST_BYTES:,}).",
                remedy="Give a shorter reason.",
            )
        return data


class LogEntry(_Sparse):
    """One change of champion, or of the challenger on trial beside it; never altered.

    ``generation`` counts from 1 without gaps; ``version`` is the champion's, ``previous`` the champion's of the entry
    before (None in the first); ``time`` is UTC. ``restores`` is, in a rollback, the generation of the promotion it goes
    back to; where a trial begins or ends, that of the promotion in force. ``trial`` is what runs from here on: a
    promotion and a rollback end any trial.
    """

    generation: int = Field(ge=1, le=MAX_GENERATION)
    op_id: str = Field(min_length=1)
    kind: Kind
    version: str
    previous: str | None
    actor: str
    time: Annotated[AwareDatetime, AfterValidator(lambda time: time.astimezone(UTC))]
    reason: str
    restores: int | None = None
    trial: Trial | None = None

    later: ClassVar[tuple[str, ...]] = ("trial",)

    @property
    def moves(self) -> bool:
        """Whether the entry made another version champion; one of a trial leaves the champion as it is."""
        return self.kind in ("promotion", "rollback")


class Intent(_Sparse):
    """What an operation asked for, and the newest generation when it was first tried.

    It is kept before any commit of that operation is attempted, so no commit of its own can be older.
    ``to`` is the version asked for; None in a rollback to whatever came before, and in the end of a trial. ``mode`` and
    ``share`` are those of a trial that is to begin; ``began`` names the trial that is to end, None for the one that
    runs.
    """

    op_id: str = Field(min_length=1)
    kind: Kind
    to: str | None
    generation: int = Field(ge=0, le=MAX_GENERATION)
    mode: Mode | None = None
    share: float | None = None
    began: int | None = None

    later: ClassVar[tuple[str, ...]] = ("mode", "share", "began")

    def asks_for(self, other: Intent) -> bool:
        """Whether two intents are of one operation, whenever each was first tried."""
        return self.model_copy(update={"generation": other.generation}) == other


def next_entry(
    newest: LogEntry | None, intent: Intent, version: str, *, actor: str, reason: str, now: datetime,
    restores: int | None = None, trial: Trial | None = None,
) -> LogEntry:  # fmt: skip
    """The entry that carries out ``intent`` right after ``newest``."""
    return LogEntry(
        generation=newest.generation + 1 if newest else 1,
        op_id=intent.op_id,
        kind=intent.kind,
        version=version,
        previous=newest.version if newest else None,
        actor=actor,
        time=now,
        reason=reason,
        restores=restores,
        trial=trial,
    )
