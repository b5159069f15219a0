"""Files are scored once and whole, whatever happens to their events, to the workers, and on the way to S3.

Real processes run the real function against S3 over HTTP. What they make is held beside what one undisturbed worker
makes of the same files, byte by byte.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import pytest

from perennial.deploy.ministack import REGION, MiniStack
from perennial.settings import Settings
from tests.support import models
from tests.support.chaos.batch_files import PICTURES, TABLES, Dropped, files
from tests.support.chaos.batch_findings import Finding, Verdict
from tests.support.chaos.batch_mutants import MUTANTS
from tests.support.chaos.batch_siege import Ended, Scene, Siege
from tests.support.chaos.batch_verdict import Judge, Undisturbed
from tests.support.chaos.faulty import Fault, Plan
from tests.support.chaos.scale import Scale
from tests.support.chaos.tally import Row, Tally
from tests.support.picture_models import build_pictures
from tests.support.pictures import image_spec

CHECK = "batch"
RATES = {
    Fault.INTERNAL: 0.01, Fault.SLOW_DOWN: 0.01, Fault.CONFLICT: 0.03, Fault.LOST: 0.01, Fault.REFUSED: 0.01,
    Fault.PARTIAL: 0.01, Fault.TRUNCATED: 0.01, Fault.DUPLICATED: 0.03, Fault.LATE: 0.03, Fault.TIMEOUT: 0.001,
    Fault.STALE: 0.05, Fault.KILL_BEFORE: 0.003, Fault.KILL_AFTER: 0.003,
}  # fmt: skip
DECIDED = r"^GET .*/(plan|result|progress)\.json"
"""S3 has no stale reads. These are survived all the same, as whoever writes next finds what stands."""
CHAMPIONS: dict[str, list[Any]] = {
    TABLES: [models.build(models.make_spec(TABLES)), models.build(models.make_spec(TABLES), seed=9)],
    PICTURES: [build_pictures(image_spec(name=PICTURES)), build_pictures(image_spec(name=PICTURES), seed=9)],
}
TRIES = 5
UNBROKEN_SECONDS = 90.0


@dataclass(frozen=True)
class Way:
    """How to bring to light what a mutant spoils: what is found then, which files, and which faults meet what."""

    finding: Finding
    kinds: Sequence[str] = (".csv",)
    files: int = 4
    rates: Mapping[Fault, float] = field(default_factory=dict)
    only: str = ""
    replacing: bool = False
    rows: int = 7
    tasks_wait: bool = False

    def takes(self, file: Dropped) -> bool:
        """Whether a file is one in which it can come to light."""
        return not file.options and bool(file.counts.quarantined) and file.counts.rows >= self.rows


WAYS = {
    "results written without a condition": Way(Finding.WRITTEN_AGAIN),
    "joined before all parts are done": Way(Finding.ROWS_MISSING, (".jsonl",), files=2, rows=400),
    "result told before its rows are stored": Way(
        Finding.GONE, rates={Fault.KILL_AFTER: 0.5}, only="^PUT .*/result.json"
    ),
    "input known by its key, not its version": Way(Finding.NO_RESULT, replacing=True),
    "quarantine dropped where work is taken up again": Way(
        Finding.GONE, rates={Fault.KILL_BEFORE: 0.5}, only="^PUT .*/batch/(out|quarantine)/"
    ),
    "parts scored by the champion of the moment": Way(
        Finding.OTHER_BYTES, (".jsonl",), files=2, rows=400, tasks_wait=True
    ),
}
Besiege = Callable[..., tuple[Ended, Verdict]]


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MiniStack]:
    with MiniStack(tmp_path_factory.mktemp("ministack")) as stack:
        yield stack


@pytest.fixture
def besiege(endpoint: MiniStack, monkeypatch: pytest.MonkeyPatch) -> Besiege:
    """Has files scored in a scene, in a bucket of their own, and judges what became of them."""
    for name, value in Settings(bucket="any", aws_endpoint_url=endpoint.endpoint_url).exports().items():
        monkeypatch.setenv(name, value)
    s3: Any = endpoint.aws.client("s3")
    undisturbed = Undisturbed(CHAMPIONS)

    def run(bucket: str, dropped: list[Dropped], scene: Scene) -> tuple[Ended, Verdict]:
        s3.create_bucket(Bucket=bucket)
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        settings = Settings(bucket=bucket, aws_endpoint_url=endpoint.endpoint_url, region=REGION)
        siege = Siege(s3, settings, CHAMPIONS, Random(scene.plan.seed))
        ended = siege.run(dropped, scene)
        return ended, Judge(s3, bucket, siege.store, undisturbed).judge(ended)

    return run


def test_every_row_is_scored_or_refused_once(scale: Scale, tally: Tally, besiege: Besiege) -> None:
    happened: Counter[str] = Counter()
    found = Verdict()
    for place, seed in enumerate(scale.seeds(1, 20)):
        scene = Scene(
            Plan(seed, rates=RATES, only={Fault.STALE: DECIDED}),
            kills=scale.pick(2, 4),
            upload_bytes=2_000 if place % 4 == 3 else None,
        )
        ended, verdict = besiege(f"siege-{place}", files(Random(seed), scale.pick(16, 55)), scene)
        happened.update(ended.happened)
        happened["file"] += len(ended.inputs)
        found += verdict
    assert found.clean, "\n".join(found.why[:20])
    for what, count in sorted(happened.items()):
        if count or scale.full:
            tally.record(Row(CHECK, what, count, found.count("lost"), found.count("doubled"), found.count("wrong")))


@pytest.mark.parametrize("name", MUTANTS)
def test_a_broken_variant_is_caught(name: str, scale: Scale, tally: Tally, besiege: Besiege) -> None:
    """Where what it spoils is likely to happen; without the mutant, nothing is wrong with the same files there."""
    way = WAYS[name]
    caught = False
    for place, seed in enumerate(scale.seeds(TRIES, TRIES)):
        chance, bucket = Random(seed), f"mutant-{list(MUTANTS).index(name)}-{place}"
        dropped = [file for file in files(chance, 60, way.kinds) if way.takes(file)][: way.files]
        if way.replacing:
            dropped = [replace(file, name=dropped[0].name) for file in dropped]
        plan = Plan(seed, rates=way.rates, only=dict.fromkeys(way.rates, way.only))
        scene = Scene(plan, kills=0, seconds=20.0, tasks_wait=way.tasks_wait)
        _, verdict = besiege(bucket, dropped, replace(scene, mutant=name))
        print(f"try {place + 1}:", *verdict.why[:20], sep="\n")
        if caught := verdict.tells_of(way.finding):
            if scale.full or not way.rates:  # who is killed again and again takes long
                _, unbroken = besiege(f"{bucket}-unbroken", dropped, replace(scene, seconds=UNBROKEN_SECONDS))
                assert unbroken.clean, unbroken.why
            break
    tally.mutant(CHECK, name, caught)
