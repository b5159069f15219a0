"""A bucket of its own for each scenario, steps that run on it as Airflow's tasks run them, and what it holds then."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from perennial import keys
from perennial.datasets.landing import land
from perennial.deploy.ministack import ACCESS_KEY, REGION, SECRET_KEY, MiniStack
from perennial.errors import AlreadyExistsError
from perennial.jobs import JobFailed, run_step
from perennial.registry.check import check
from perennial.settings import Settings
from perennial.spec import load_spec
from perennial.spec_source import parse_spec
from perennial.store import Store
from perennial.store_opening import open_store
from tests.support.chaos.airflow_child import VARIABLE, Order, give
from tests.support.chaos.airflow_held import BUCKETS, MODEL, REPLACED, Bucket, Held, Objects, fingerprint, timeless
from tests.support.shop import SPEC, write_rows
from tests.support.warm import Warm, warm

START = datetime(2026, 11, 21, 3, tzinfo=UTC)
PATIENCE_SECONDS = 600.0
KILLED = -signal.SIGKILL


class Do(NamedTuple):
    """One task of a training: a step, and what it is given."""

    step: str
    candidate: str = ""
    given: tuple[tuple[str, str | bool], ...] = ()


class Ended(NamedTuple):
    """How a task's step ended: its result without times, or its exit code and why."""

    result: dict[str, Any] | None
    code: int = 0
    reason: str = ""


@dataclass
class World:
    """One endpoint with one scenario after the other; each of them begins with :meth:`fresh`."""

    endpoint_url: str
    warm: Warm
    folder: Path
    minute: int = 0
    _scenario: int = field(default=0, init=False)

    def fresh(self, objects: Objects | None = None, *, minute: int = 0, mutant: str = "", spec: str = SPEC) -> None:
        """New buckets that hold these objects at that minute, and nobody who is to be killed."""
        self._scenario += 1
        if self.control.exists():
            shutil.rmtree(self.control)
        self.control.mkdir()
        self.become(mutant)
        self.minute = minute
        self.pass_time(0)
        self.spec.write_text(spec)
        variables = {"PERENNIAL_BUCKET": self.bucket("data"), "PERENNIAL_SITE_BUCKET": self.bucket("site")}
        _write(self.control / "variables", json.dumps(variables))
        for each in BUCKETS:
            self._s3.create_bucket(Bucket=self.bucket(each))
            enabled = {"Status": "Enabled"}
            self._s3.put_bucket_versioning(Bucket=self.bucket(each), VersioningConfiguration=enabled)
        self.load(objects or {})

    def become(self, mutant: str) -> None:
        """Have the processes to come run a mutant; none where there is no name."""
        _write(self.control / "mutant", mutant)

    @property
    def spec(self) -> Path:
        return self.folder / "model.yaml"

    @property
    def control(self) -> Path:
        return self.folder / "control"

    def bucket(self, which: str) -> str:
        return f"chaos-{self._scenario}-{which}"

    def store(self, which: Bucket) -> Store:
        return open_store(Settings.load().model_copy(update={"bucket": self.bucket(which)}))

    def load(self, objects: Objects) -> None:
        """Put what is not there, and replace what may be."""
        stores = {which: self.store(which) for which in BUCKETS}
        for (which, key), data in objects.items():
            found = stores[which].find(key) if (which, key) in REPLACED else None
            if found is not None:
                stores[which].put_if_match(key, data, found.etag)
                continue
            with suppress(AlreadyExistsError):  # the same, done at another time
                stores[which].put_new(key, data)

    def land(self, name: str, seed: int, rows: int = 300) -> None:
        """Bring rows into landing."""
        land(self.store("data"), load_spec(self.spec), write_rows(self.folder / name, rows, seed))

    def order(self, name: str, order: Order) -> None:
        """Have something happen to the next process that an order is meant for."""
        give(self.control, name, order)

    def reached(self, name: str) -> int | None:
        """The process that came to where an order has it killed or paused; None before."""
        file = self.control / "reached" / name
        return int(file.read_text()) if file.exists() else None

    def await_reached(self, name: str, *, still: bool = False) -> int:
        """Wait for :meth:`reached`; with ``still`` until that process stands still, too."""
        limit = time.monotonic() + PATIENCE_SECONDS
        while (pid := self.reached(name)) is None or (still and state_of(pid) != "T"):
            assert time.monotonic() < limit, f"nobody came to {name}"
            time.sleep(0.01)
        return pid

    def attempt(self, do: Do, run: str, *, later: int = 1) -> Ended:
        """Do one task in a process of its own, so many minutes after the last one."""
        self.pass_time(later)
        arguments = dict(do.given) | ({"candidate": do.candidate} if do.candidate else {})
        try:
            return Ended(timeless(run_step(do.step, str(self.spec), run, **arguments)))
        except JobFailed as error:
            return Ended(None, error.exit_code, str(error))

    def pass_time(self, minutes: int) -> None:
        """Have the processes to come begin so much later."""
        self.minute += minutes
        _write(self.control / "clock", (START + timedelta(minutes=self.minute)).isoformat())

    def objects(self) -> Objects:
        """All that the buckets hold."""
        found: dict[tuple[Bucket, str], bytes] = {}
        for which in BUCKETS:
            store = self.store(which)
            found |= {(which, entry.key): store.get(entry.key).data for entry in store.list("")}
        return found

    def held(self) -> Held:
        """What the buckets hold, but for who trains, and how the registry's invariants do."""
        versions: dict[tuple[Bucket, str], int] = {}
        for which in BUCKETS:
            pages = self._s3.get_paginator("list_object_versions").paginate(Bucket=self.bucket(which))
            for each in (one for page in pages for one in page.get("Versions", ())):
                versions[which, each["Key"]] = versions.get((which, each["Key"]), 0) + 1
        contents = {place: fingerprint(place[1], data) for place, data in self.objects().items()}
        del contents["data", keys.training_lock(MODEL)]
        violations = tuple(f"{each.invariant}: {each.key}" for each in check(self.store("data"), MODEL))
        return Held(contents, versions, violations)

    def log(self) -> list[dict[str, Any]]:
        """The entries of the registry's log, oldest first."""
        store = self.store("data")
        return [json.loads(store.get(entry.key).data) for entry in store.list(keys.log_entries(MODEL))]

    @cached_property
    def _s3(self) -> Any:
        import boto3

        return boto3.client(
            "s3", endpoint_url=self.endpoint_url, region_name=REGION, aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
        )  # fmt: skip


@contextmanager
def opened(folder: Path) -> Iterator[World]:
    """An endpoint and warm processes for the length of a block, which the environment names."""
    kept = dict(os.environ)
    scratch = folder / "tmp"
    scratch.mkdir()
    with MiniStack(folder) as stack, warm(folder, "tests.support.chaos.airflow_child") as server:
        os.environ |= {
            "AWS_ENDPOINT_URL": stack.endpoint_url, "AWS_REGION": REGION, "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY, "PERENNIAL_CODE": "0123abc", "PERENNIAL_PYTHON": str(server.python),
            "PERENNIAL_TRUSTED_KEYS": "unsigned", "PERENNIAL_BUCKET": "none", "PERENNIAL_SITE_URL": "http://site/",
            "TMPDIR": str(scratch), VARIABLE: str(folder / "control"),
        }  # fmt: skip
        try:
            yield World(stack.endpoint_url, server, folder)
        finally:
            os.environ.clear()
            os.environ.update(kept)


def state_of(pid: int) -> str:
    """A letter, as ``ps`` has it: T for a process that was stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def _write(file: Path, text: str) -> None:
    """Whole or not at all, whoever else writes or reads."""
    unfinished = file.with_name(f"{file.name}.{threading.get_ident()}")
    unfinished.write_text(text)
    unfinished.rename(file)


def human(spec: str = SPEC) -> str:
    """A spec under which a person decides."""
    parse_spec(changed := spec.replace("gate: {", "gate: {approval: human, "))
    return changed
