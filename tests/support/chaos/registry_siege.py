"""One siege of the registry: workers, faults and kills by a seed, and witnesses who look on.

``python -m tests.support.chaos.registry_siege SEED [MUTANT]`` repeats one, and prints what was found.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import boto3

from perennial import keys
from perennial.deploy.ministack import ACCESS_KEY, REGION, SECRET_KEY, MiniStack
from perennial.errors import PerennialError
from perennial.registry.registry import Registry
from perennial.settings import Settings
from perennial.store_opening import open_store
from tests.support.chaos.faulty import Fault, Faulty, faulty
from tests.support.chaos.registry_calls import Call, made
from tests.support.chaos.registry_plan import CALLS, MUTANTS, Siege
from tests.support.chaos.registry_witness import WORK, Finding, Witness
from tests.support.chaos.registry_work import TWINS, Job, Told, call_of
from tests.support.chaos.registry_workers import Workers, workers
from tests.support.versions import MODEL

KILL_SECONDS = (0.1, 0.5)
ENVIRONMENT = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}


@dataclass
class Outcome:
    """What a siege came to. ``operations`` ended, by an entry or a refusal; ``unheard`` as the proxy counts them."""

    operations: int = 0
    entries: int = 0
    kills: int = 0
    random_kills: int = 0
    requests: int = 0
    injected: Counter[Fault] = field(default_factory=Counter)
    unheard: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)

    @property
    def unheard_commits(self) -> int:
        """How many entries of the log were created by a write whose answer was lost."""
        return sum(times for path, times in self.unheard.items() if f"/{keys.log_entries(MODEL)}" in path)

    def broken(self, siege: Siege) -> bool:
        """Whether a mutant broke what it must break; that somebody died, or was not done in time, is no proof."""
        return any(finding.promise in siege.promises for finding in self.findings)


def besiege(siege: Siege, endpoint_url: str, folder: Path) -> Outcome:
    """Run a siege in a bucket of its own at an endpoint whose conditional writes are atomic."""
    s3 = boto3.client(
        "s3", endpoint_url=endpoint_url, region_name=REGION,
        aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY,
    )  # fmt: skip
    bucket = f"siege-{len(s3.list_buckets()['Buckets'])}"
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    registry = Registry(open_store(Settings(bucket=bucket, aws_endpoint_url=endpoint_url, region=REGION)))
    folder = folder / bucket
    folder.mkdir()

    def job_of(worker: int) -> Job:
        url, told = proxy.url_for(str(worker)), folder / f"{worker}.jsonl"
        return Job(siege.seed, worker, siege.calls, 0, url, bucket, REGION, str(told), siege.mutant, siege.kinds)

    def kill(client: str) -> None:
        army.kill(int(client))

    with (
        faulty(endpoint_url, siege.plan, on_kill=kill) as proxy,
        workers(job_of, ENVIRONMENT) as army,
    ):
        return _Run(siege, army, proxy, registry, Witness(registry.store, s3, bucket), folder).run()


@dataclass
class _Run:
    siege: Siege
    army: Workers
    proxy: Faulty
    registry: Registry
    witness: Witness
    folder: Path
    read: Counter[int] = field(default_factory=Counter)
    told: dict[tuple[int, int], int] = field(default_factory=dict)

    def run(self) -> Outcome:
        chance, random_kills, crashed = Random(f"{self.siege.seed} kills"), 0, False
        now = time.monotonic()
        end, kill, test = now + self.siege.seconds, now + chance.uniform(*KILL_SECONDS), now + self.siege.tested
        for worker in range(self.siege.workers):
            self.army.begin(worker)
        while self.army.unfinished and not self.over:
            self.look()
            now = time.monotonic()
            if now > end:
                self.witness.finds("wrong", WORK, f"{self.army.unfinished} not done after {self.siege.seconds} s")
                break
            if self.siege.kills and now > kill:
                random_kills += self.army.kill(chance.randrange(self.siege.workers))
                kill = now + chance.uniform(*KILL_SECONDS)
            if now > test:
                self.witness.tests()
                test = time.monotonic() + self.siege.tested
            if not crashed and len(self.told) > self.siege.workers * self.siege.calls / 2:
                crashed = True
                random_kills += self.army.rest()
                self.promote("after all were killed")
                self.army.resume()
            time.sleep(0.04)
        self.army.rest()
        self.proxy.settle()
        if not self.over:
            self.conclude()
        return Outcome(
            len(self.told), len(self.witness.log), self.army.kills, random_kills, self.proxy.requests,
            self.proxy.injected, self.proxy.unheard, list(self.witness.findings),
        )  # fmt: skip

    @property
    def over(self) -> bool:
        """A mutant has been caught."""
        return any(finding.promise in self.siege.promises for finding in self.witness.findings)

    def look(self) -> None:
        for worker in range(self.siege.workers):
            path = self.folder / f"{worker}.jsonl"
            if not path.exists():
                continue
            with path.open("rb") as file:
                file.seek(self.read[worker])
                whole = file.read().rpartition(b"\n")[0]
            self.read[worker] += len(whole) + bool(whole)
            for told in (Told(**json.loads(line)) for line in whole.splitlines()):
                call = call_of(self.siege.seed, worker, told.number, self.siege.kinds)
                alone = worker not in TWINS and worker not in TWINS.values()
                known = max(self.told.get((worker, before), 0) for before in range(-1, told.number)) if alone else 0
                self.witness.hears(call, told, alone=alone, known=known)
                self.told[worker, told.number] = told.generation
        self.witness.looks()

    def conclude(self) -> None:
        self.look()
        for crash in self.army.crashes:
            self.witness.finds("wrong", WORK, crash)
        if len(self.told) < self.siege.workers * self.siege.calls:
            self.witness.finds("lost", WORK, f"only {len(self.told)} operations came to an end")
        self.promote("at the end")
        self.witness.concludes()

    def promote(self, op_id: str) -> None:
        """A promotion by somebody else works, without repair and at the first try."""
        try:
            head = self.registry.head(MODEL)
            other = next(number for number in range(2) if head is None or made(number)[0].version != head.version)
            call = Call("promote", op_id, other)
            entry = call.run(self.registry, 0)
        except PerennialError as error:
            self.witness.finds("wrong", "promotion works", f"a promotion {op_id}: {error!r}")
        else:
            self.witness.hears(call, Told(0, entry=entry.to_bytes().decode()))
            self.witness.looks()


def main(arguments: list[str]) -> int:
    """Repeat a siege of the full form, or one of a mutant."""
    seed, *mutant = arguments
    siege = MUTANTS[mutant[0]](int(seed)) if mutant else Siege(int(seed), CALLS)
    os.environ.update(ENVIRONMENT)
    with TemporaryDirectory() as folder, MiniStack(Path(folder)) as emulator:
        outcome = besiege(siege, emulator.endpoint_url, Path(folder))
    print(outcome)
    return 1 if outcome.findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
