"""What one process under siege does: its operations one after another, each acknowledged in a file of its own.

What is to be done follows from seed, worker and number alone, so that a process that was killed finds in its file how
far it came, and repeats the operation it died in under the same op_id, as a retried task does.
"""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random

from perennial.errors import ConflictError, PromotionRefused, StoreRefused, StoreUnavailable
from perennial.registry.entries import LogEntry
from perennial.registry.registry import Registry
from perennial.settings import Settings
from perennial.store_opening import Patience, open_store
from tests.support.chaos.registry_calls import Call

TRIES = 200
KINDS = {"promote": 9, "rollback": 3, "rollback to": 2, "canary": 3, "shadow": 1, "end": 2}
COMMON_VERSIONS = 6
TWINS = {7: 6}
"""A worker that does another's operations at the same time, under the same op_ids: a zombie beside the retry."""
PATIENCE = (
    Patience(request=1.0, silence=1.0, retries=0),
    Patience(request=1.0, silence=1.0, retries=1, retrying=2.0),
)
"""Half of the workers see every fault themselves; for the others obstore repeats a request once, unasked."""


@dataclass(frozen=True)
class Job:
    """The work of one worker. ``life`` counts how often it has begun; ``mutant`` names what its registry lacks."""

    seed: int
    worker: int
    calls: int
    life: int
    endpoint_url: str
    bucket: str
    region: str
    told: str
    mutant: str | None = None
    kinds: Mapping[str, int] = field(default_factory=lambda: KINDS)


@dataclass(frozen=True)
class Told:
    """How a call ended: by an entry (its bytes as text), by a refusal (its message and ``error``), or not at all."""

    number: int
    entry: str | None = None
    refused: str | None = None
    error: str | None = None
    broken: str | None = None

    @property
    def generation(self) -> int:
        """Of the entry; 0 where there is none."""
        return LogEntry.from_bytes(self.entry.encode(), "told").generation if self.entry else 0


def call_of(seed: int, worker: int, number: int, kinds: Mapping[str, int] = KINDS) -> Call:
    """The ``number``-th operation of a worker: on a version everybody promotes, or on one of its own.

    ``kinds`` says how often each kind is asked for, beside the others.
    """
    worker = TWINS.get(worker, worker)
    chance = Random(f"{seed} {worker} {number} call")
    kind = chance.choices(list(kinds), list(kinds.values()))[0]
    own = COMMON_VERSIONS + worker * 10_000 + number
    which = own if kind == "promote" and chance.random() < 0.4 else chance.randrange(COMMON_VERSIONS)
    return Call(kind, f"dag/{worker}/{number}/promote", which, share=chance.choice([0.1, 0.5]))  # type: ignore[arg-type]


class Journal:
    """What a worker was told, on disk before it asks for anything else. A line cut short by a kill never counts."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        whole = path.read_bytes().rpartition(b"\n")[0]
        os.ftruncate(self._file, len(whole) + bool(whole))
        self.told = [Told(**json.loads(line)) for line in whole.splitlines()]

    def tell(self, told: Told) -> None:
        os.write(self._file, json.dumps(asdict(told)).encode() + b"\n")
        os.fsync(self._file)
        self.told.append(told)


def work(job: Job) -> None:
    """Do what is left of a job. The last call may be repeated first where it was acknowledged; a refusal is final."""
    journal = Journal(Path(job.told))
    settings = Settings(bucket=job.bucket, aws_endpoint_url=job.endpoint_url, region=job.region)
    registry = Registry(open_store(settings, patience=PATIENCE[job.worker % len(PATIENCE)]))
    last = journal.told[-1].number if journal.told else -1
    again = last >= 0 and journal.told[-1].entry and Random(f"{job.seed} {job.worker} {job.life} again").random() < 0.5
    for number in range(last if again else last + 1, job.calls):
        journal.tell(_settle(job, registry, number))


def _settle(job: Job, registry: Registry, number: int) -> Told:
    """Try a call until S3 lets it end. Each try tells another time, as a retried task would."""
    call = call_of(job.seed, job.worker, number, job.kinds)
    unavailable = ""
    for attempt in range(TRIES):
        try:
            entry = call.run(registry, (job.life * job.calls + number) * TRIES + attempt)
        except StoreUnavailable as error:
            unavailable = error.message
            if isinstance(error, StoreRefused):
                return Told(number, broken=f"{error!r}")
        except (PromotionRefused, ConflictError) as error:
            return Told(number, refused=error.message, error=type(error).__name__)
        except Exception:  # noqa: BLE001 - whatever it is, it is to be told
            return Told(number, broken=traceback.format_exc())
        else:
            return Told(number, entry=entry.to_bytes().decode())
    return Told(number, broken=f"not settled by {TRIES} tries: {unavailable}")
