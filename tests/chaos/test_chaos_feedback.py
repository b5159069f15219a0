"""Labels count once, none that was acknowledged is lost, and no flood of them promotes a worse model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from random import Random

import pytest

from perennial.deploy.ministack import REGION, MiniStack
from perennial.settings import Settings
from tests.support.chaos.faulty import Fault, Plan
from tests.support.chaos.feedback_findings import Verdict
from tests.support.chaos.feedback_floods import ATTACKS, BOOSTED, LINEAR, Found, Shop, customers
from tests.support.chaos.feedback_mutants import FLOODED
from tests.support.chaos.feedback_siege import CLASSES, Saying, Siege
from tests.support.chaos.feedback_worker import MUTANTS
from tests.support.chaos.scale import Scale
from tests.support.chaos.tally import Row, Tally

CHECK = "feedback"
SOME = "labels of one region flipped"
TRIES = 4
RATES = {
    Fault.INTERNAL: 0.03, Fault.SLOW_DOWN: 0.03, Fault.CONFLICT: 0.04, Fault.LOST: 0.03, Fault.REFUSED: 0.02,
    Fault.PARTIAL: 0.02, Fault.TRUNCATED: 0.02, Fault.DUPLICATED: 0.03, Fault.KILL_BEFORE: 0.01, Fault.KILL_AFTER: 0.01,
}  # fmt: skip
COLLECTING = RATES | {Fault.KILL_BEFORE: 0.001, Fault.KILL_AFTER: 0.001}
"""A collector makes some hundred requests and begins again when it is killed: some of them get through."""


def attacked(shop: Shop, name: str, chance: Random, floods: int) -> Found:
    """A few floods of one kind, one after the other, each on what the one before left."""
    found = Found()
    for flood in range(floods):
        rows = customers(chance.choice([200, 800, 2000]), shop.seed + 10 + flood)
        share = chance.choice([0.3, 0.6]) if name == SOME else chance.randint(1, 10) / 10
        found.add(shop.flood(rows, ATTACKS[name](rows, share, chance)))
    return found


def test_no_flood_of_labels_promotes_a_worse_model(scale: Scale, tally: Tally) -> None:
    found = {name: Found() for name in ATTACKS}
    for place, seed in enumerate(scale.seeds(2, 20)):
        shop = Shop((BOOSTED, LINEAR)[place % 2], seed, landed=600)
        for turn, name in enumerate(ATTACKS):
            if scale.full or turn % 2 == place % 2:
                found[name].add(attacked(shop.copy(), name, Random(seed + turn), scale.pick(1, 3)))
    if scale.full:
        shop = Shop(LINEAR, scale.seed)
        rows = customers(20_000, 5)
        name = "labels by one caller of one record"
        found[name].add(shop.flood(rows, ATTACKS[name](rows, 0.9, Random(5))))
    for name, one in found.items():
        assert not one.why, one.why
        tally.record(Row(CHECK, name, one.labels, one.lost, one.doubled, one.wrong))


@pytest.fixture(scope="module")
def shop() -> Shop:
    """One that is large enough for what a few callers spoil to be measured, and too small for its holdout to see it."""
    return Shop(BOOSTED, 1, landed=1500)


@pytest.fixture(scope="module")
def guarded(shop: Shop) -> Callable[[int], Found]:
    """What the same floods do to a loop with all its guards, by their seed."""
    return cache(lambda seed: attacked(shop.copy(), SOME, Random(seed), 2))


@pytest.mark.parametrize("name", FLOODED)
def test_a_loop_without_one_of_its_guards_is_caught(
    name: str, shop: Shop, guarded: Callable[[int], Found], tally: Tally
) -> None:
    caught = False
    for seed in range(TRIES):
        with pytest.MonkeyPatch.context() as patch:
            FLOODED[name].become(patch.setattr)
            found = attacked(shop.copy(), SOME, Random(seed), 2)
        if caught := FLOODED[name].caught(found):
            assert guarded(seed).clean, guarded(seed).why
            break
    tally.mutant(CHECK, name, caught)


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MiniStack]:
    with MiniStack(tmp_path_factory.mktemp("ministack")) as stack:
        yield stack


@pytest.fixture
def besiege(endpoint: MiniStack, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Siege]:
    """Has predictions labelled, captured and collected in a bucket of their own.

    With ``once`` nothing is collected before all of it is there, and nothing befalls who collects it then.
    """
    settings = Settings(bucket="any", aws_endpoint_url=endpoint.endpoint_url, region=REGION)
    for name, value in settings.exports().items():
        monkeypatch.setenv(name, value)

    def run(bucket: str, seed: int, count: int, mutant: str | None = None, *, once: bool = False) -> Siege:
        endpoint.aws.client("s3").create_bucket(Bucket=bucket)
        siege = Siege(settings.model_copy(update={"bucket": bucket}), seed, mutant)
        chance, plan = Random(seed), Plan(seed, rates=COLLECTING)
        made, lines = siege.predict(count)
        siege.say(sayings(made, chance), Plan(seed, rates=RATES))
        if not once:
            siege.capture(lines[: count // 2], chance)
            siege.collect("early", plan)
            siege.happened["label before its capture"] += count - count // 2
        siege.capture(lines, chance)
        siege.collect("late", Plan(seed) if once else plan)
        return siege

    return run


def sayings(made: Sequence[Mapping[str, str]], chance: Random) -> list[Saying]:
    """What callers say of their predictions, in any order: one truth one to five times, and all that is no truth."""
    found: list[Saying] = []
    for one in made:
        about, token, other = one["prediction_id"], one["feedback_token"], chance.choice(made)
        truth, lie = chance.sample(CLASSES, 2)
        found += [Saying("label", about, token, truth)]
        found += [Saying("label told again", about, token, truth)] * chance.randint(0, 4)
        if chance.random() < 0.3:
            found += [Saying("contradicting label", about, token, lie)] * chance.randint(1, 2)
        if chance.random() < 0.2:
            found.append(Saying("forged token", about, token[::-1], lie))
        if other is not one and chance.random() < 0.2:
            found.append(Saying("token of another prediction", about, other["feedback_token"], lie))
    chance.shuffle(found)
    return found


def test_every_label_that_was_taken_counts_once(scale: Scale, tally: Tally, besiege: Callable[..., Siege]) -> None:
    happened: Counter[str] = Counter()
    found = Verdict()
    for place, seed in enumerate(scale.seeds(1, 20)):
        siege = besiege(f"labels-{place}", seed, scale.pick(100, 150))
        found.update(siege.judge())
        happened.update(siege.happened)
    print(found)
    for what, injected in sorted(happened.items()):
        if injected or scale.full:
            tally.record(Row(CHECK, what, injected, *found.losses))


@pytest.mark.parametrize("name", MUTANTS)
def test_a_function_without_one_of_its_guards_is_caught(
    name: str, scale: Scale, tally: Tally, besiege: Callable[..., Siege]
) -> None:
    """In the short form, the test above is what finds nothing where no guard is missing."""
    caught = False
    for place, seed in enumerate(scale.seeds(TRIES, TRIES)):
        bucket = f"broken-{list(MUTANTS).index(name)}-{place}"
        found = besiege(bucket, seed, 60, name, once=True).judge()
        print(found)
        if caught := found.tells_of(*MUTANTS[name][1]):
            if scale.full:
                guarded = besiege(f"{bucket}-not", seed, 60, once=True).judge()
                assert not guarded.total(), guarded
            break
    tally.mutant(CHECK, name, caught)
