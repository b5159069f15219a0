"""Who answers while a trial runs, what is asked beside, and what a challenger may not do to the champion."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from obstore.exceptions import GenericError

from perennial import keys
from perennial.errors import InvalidRecord
from perennial.registry.entries import LogEntry, Trial
from perennial.registry.manifest import MODEL_FILE
from perennial.registry.trials import end_trial, start_trial
from perennial.serving.capture import Capture, Occasion
from perennial.serving.captured import CapturedPrediction, parse
from perennial.serving.challenger import FAILURES_IN_A_ROW, in_share
from perennial.serving.ids import uuid7
from perennial.serving.predictor import Prediction, Predictor
from perennial.serving.refresh import ModelCache, Snapshot
from perennial.serving.traffic import SLOW_SECONDS, Answers, route
from tests.support.models import IRIS_RECORD, NOW, build, promote, register
from tests.support.stores import Bucket, Clock

CHAMPION, CHALLENGER = build(seed=1), build(seed=2)
CALLERS = [f"caller-{number}" for number in range(2000)]


@pytest.fixture
def bucket() -> Bucket:
    bucket = Bucket()
    promote(bucket.writer, CHAMPION)
    register(bucket.writer, CHALLENGER)
    return bucket


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(bucket: Bucket, clock: Clock) -> ModelCache:
    return ModelCache(bucket.store, refresh_seconds=15, clock=clock)


def on_trial(bucket: Bucket, share: float = 0.3, op_id: str = "try") -> LogEntry:
    """A canary, or with a share of 1 a shadow."""
    return start_trial(
        bucket.writer, "iris", CHALLENGER.version, mode="shadow" if share == 1 else "canary", share=share, op_id=op_id,
        actor="ada", reason="", now=NOW,
    )  # fmt: skip


def trial(share: float, began: int = 2) -> Trial:
    return Trial(version="v", mode="canary", share=share, began=began)


class Asked:
    """Predicts one record, by a version that may be made to fail or to take long."""

    def __init__(self, clock: Clock, *, failing: str = "", error: Exception | None = None, slow: float = 0.0) -> None:
        self.clock, self.failing, self.slow, self.versions = clock, failing, slow, list[str]()
        self.error = error or InvalidRecord((("0", "overflow"),))

    def __call__(self, predictor: Predictor) -> Sequence[Prediction]:
        version = predictor.manifest.version
        self.versions.append(version)
        if version == CHALLENGER.version:
            self.clock.advance(self.slow)
        if version == self.failing:
            raise self.error
        return predictor.predict([predictor.schema.validate(IRIS_RECORD)])


def ask(snapshot: Snapshot, asked: Asked, caller: str = "ada") -> Answers:
    return route(snapshot, asked, lambda: caller, asked.clock)


def insider(share: float = 0.3) -> str:
    return next(one for one in CALLERS if in_share("iris", trial(share), one))


def outsider(share: float = 0.3) -> str:
    return next(one for one in CALLERS if not in_share("iris", trial(share), one))


class TestShares:
    @settings(max_examples=30, deadline=None)
    @given(
        share=st.floats(0.02, 0.98),
        began=st.integers(1, 10**6),
        model=st.from_regex(r"[a-z]{1,20}", fullmatch=True),
        prefix=st.text(max_size=8),
    )
    def test_a_share_holds_as_many_callers_as_it_says(self, share: float, began: int, model: str, prefix: str) -> None:
        count = sum(in_share(model, trial(share, began), f"{prefix}{number}") for number in range(2000))
        spread = (share * (1 - share) * 2000) ** 0.5
        assert abs(count - share * 2000) <= 6 * spread  # beyond that once in a billion

    def test_a_larger_share_holds_every_smaller_one(self) -> None:
        inside = [{one for one in CALLERS if in_share("iris", trial(share), one)} for share in (0.05, 0.1, 0.5, 0.9)]
        assert inside[0] < inside[1] < inside[2] < inside[3]

    def test_shares_of_different_trials_are_independent(self) -> None:
        first = {one for one in CALLERS if in_share("iris", trial(0.5, 2), one)}
        second = {one for one in CALLERS if in_share("iris", trial(0.5, 7), one)}
        other = {one for one in CALLERS if in_share("wine", trial(0.5, 2), one)}
        for both in (first & second, first & other):
            assert abs(len(both) - 500) <= 6 * (0.25 * 0.75 * 2000) ** 0.5

    def test_another_process_finds_the_same_share(self) -> None:
        code = (
            "from perennial.registry.entries import Trial; from perennial.serving.challenger import in_share\n"
            "trial = Trial(version='v', mode='canary', share=0.3, began=2)\n"
            "print(''.join(str(int(in_share('iris', trial, f'caller-{n}'))) for n in range(2000)))"
        )
        environment = {**os.environ, "PYTHONHASHSEED": "7"}
        said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
        assert said.stdout.strip() == "".join(str(int(in_share("iris", trial(0.3), one))) for one in CALLERS)

    @pytest.mark.parametrize("name", ["", "\ud800", "é" * 300])
    def test_any_name_has_a_place(self, name: str) -> None:
        assert in_share("iris", trial(0.3), name) in (True, False)


class TestWhoAnswers:
    def test_without_a_trial_the_champion_alone_is_asked(self, cache: ModelCache, clock: Clock) -> None:
        asked = Asked(clock)
        answers = ask(cache.get("iris"), asked)
        assert (answers.version, answers.role, answers.beside) == (CHAMPION.version, "champion", None)
        assert asked.versions == [CHAMPION.version]

    def test_a_canary_answers_its_share_and_the_champion_the_rest(
        self, bucket: Bucket, cache: ModelCache, clock: Clock
    ) -> None:
        on_trial(bucket)
        snapshot = cache.get("iris")
        inside, outside = ask(snapshot, Asked(clock), insider()), ask(snapshot, Asked(clock), outsider())
        assert (inside.version, inside.role, inside.predictor.manifest.version) == (
            CHALLENGER.version, "canary", CHALLENGER.version,
        )  # fmt: skip
        assert inside.beside is not None and inside.beside.version == CHAMPION.version
        assert inside.beside.predictions == outside.predictions != inside.predictions
        assert (outside.version, outside.role, outside.beside) == (CHAMPION.version, "champion", None)

    def test_a_shadow_looks_on_and_changes_no_answer(self, bucket: Bucket, cache: ModelCache, clock: Clock) -> None:
        before = ask(cache.get("iris"), Asked(clock))
        on_trial(bucket, 1.0)
        clock.advance(15)
        answers = ask(cache.get("iris"), Asked(clock))
        assert (answers.predictions, answers.version, answers.role) == (
            before.predictions,
            CHAMPION.version,
            "champion",
        )
        assert answers.beside is not None and answers.beside.version == CHALLENGER.version


class TestHarm:
    @pytest.mark.parametrize("share", [0.3, 1.0])
    @pytest.mark.parametrize(
        ("error", "word"),
        [(InvalidRecord((("0", "x"),)), "overflow"), (RuntimeError("graph"), "failed"), (MemoryError(), "failed")],
    )
    def test_a_challenger_that_fails_is_stood_in_for(
        self, bucket: Bucket, cache: ModelCache, clock: Clock, share: float, error: Exception, word: str
    ) -> None:
        on_trial(bucket, share)
        answers = ask(cache.get("iris"), Asked(clock, failing=CHALLENGER.version, error=error), insider())
        assert (answers.version, answers.role, answers.error) == (CHAMPION.version, "champion", word)
        assert answers.problem is error

    @pytest.mark.parametrize("share", [0.3, 1.0])
    def test_after_so_many_failures_in_a_row_it_is_asked_no_more_until_the_next_entry(
        self, bucket: Bucket, cache: ModelCache, clock: Clock, share: float
    ) -> None:
        on_trial(bucket, share)
        snapshot, failing = cache.get("iris"), Asked(clock, failing=CHALLENGER.version)
        for _ in range(FAILURES_IN_A_ROW - 1):
            ask(snapshot, failing, insider())
        ask(snapshot, Asked(clock), insider())  # one good answer, and the row begins anew
        for _ in range(FAILURES_IN_A_ROW):
            assert snapshot.challenger and snapshot.challenger.status == "on"
            ask(snapshot, failing, insider())
        assert snapshot.challenger and snapshot.challenger.status == "off"
        asked = Asked(clock)
        assert ask(snapshot, asked, insider()).version == CHAMPION.version
        assert asked.versions == [CHAMPION.version]
        end_trial(bucket.writer, "iris", op_id="end", actor="ada", reason="", now=NOW)
        on_trial(bucket, share, "again")
        clock.advance(15)
        anew = cache.get("iris").challenger
        assert anew is not None and anew.status == "on"

    def test_one_that_dawdles_is_put_off_too(self, bucket: Bucket, cache: ModelCache, clock: Clock) -> None:
        on_trial(bucket, 1.0)
        snapshot = cache.get("iris")
        for _ in range(FAILURES_IN_A_ROW):
            assert ask(snapshot, Asked(clock, slow=1.01 * SLOW_SECONDS)).beside is not None
        assert snapshot.challenger and snapshot.challenger.status == "off"

    def test_a_record_that_neither_can_answer_is_not_held_against_the_challenger(
        self, bucket: Bucket, cache: ModelCache
    ) -> None:
        on_trial(bucket)
        snapshot = cache.get("iris")
        overflow = InvalidRecord((("0", "x"),))

        def neither(predictor: Predictor) -> Sequence[Prediction]:
            raise overflow

        with pytest.raises(InvalidRecord):
            route(snapshot, neither, insider, lambda: 0.0)
        assert snapshot.challenger and snapshot.challenger.breaker.in_a_row == 0

    def test_a_champion_that_fails_beside_a_canary_hurts_nobody(
        self, bucket: Bucket, cache: ModelCache, clock: Clock
    ) -> None:
        on_trial(bucket)
        answers = ask(cache.get("iris"), Asked(clock, failing=CHAMPION.version), insider())
        assert (answers.version, answers.beside) == (CHALLENGER.version, None)


class TestLoading:
    def test_a_larger_share_keeps_what_is_loaded_and_wipes_the_record(
        self, bucket: Bucket, cache: ModelCache, clock: Clock
    ) -> None:
        on_trial(bucket)
        first = cache.get("iris").challenger
        assert first is not None
        first.breaker.in_a_row = FAILURES_IN_A_ROW
        on_trial(bucket, 0.5, "more")
        clock.advance(15)
        bucket.reads.clear()
        second = cache.get("iris").challenger
        assert second is not None and second.predictor is first.predictor
        assert (second.trial.share, second.status) == (0.5, "on")
        assert not [key for key in bucket.reads if "blobs" in key]

    def test_a_damaged_challenger_is_off_and_the_champion_serves(
        self, bucket: Bucket, cache: ModelCache, clock: Clock
    ) -> None:
        on_trial(bucket, 1.0)
        blob = keys.registry_blob("iris", CHALLENGER.manifest.files[MODEL_FILE].digest)
        bucket.tamper(blob, b"damaged")
        snapshot = cache.get("iris")
        assert snapshot.challenger is not None and snapshot.challenger.status == "off"
        state = cache.state("iris")
        assert state is not None and state.failure is None
        assert ask(snapshot, Asked(clock)).version == CHAMPION.version
        bucket.reads.clear()
        clock.advance(15)
        cache.get("iris")
        assert bucket.reads == [keys.alias("iris", "champion")]

    def test_one_that_s3_does_not_give_is_looked_for_again(
        self, bucket: Bucket, cache: ModelCache, clock: Clock
    ) -> None:
        on_trial(bucket)

        def silent(key: str) -> None:
            if key.endswith(CHALLENGER.manifest.files[MODEL_FILE].digest):
                raise GenericError("503 Slow Down")

        bucket.before = silent
        first = cache.get("iris").challenger
        assert first is not None and first.status == "loading"
        bucket.before = lambda key: None
        clock.advance(15)
        second = cache.get("iris").challenger
        assert second is not None and second.status == "on"

    def test_the_champion_is_since_its_promotion_whatever_is_tried_beside_it(
        self, bucket: Bucket, cache: ModelCache
    ) -> None:
        entry = on_trial(bucket)
        champion = cache.get("iris").champion
        assert (champion.since, champion.entry) == (NOW, entry)


def lines_of(snapshot: Snapshot, answers: Answers, capture: Capture, count: int = 1) -> list[CapturedPrediction]:
    records = [snapshot.predictor.schema.validate(IRIS_RECORD)] * count
    ids = [uuid7(1_795_000_000.0, os.urandom(10)) for _ in range(count)]
    occasion = Occasion("2026-11-21T08:00:00.000+00:00", "request")
    text = capture.lines(snapshot, occasion, records, answers.predictions, ids, answers=answers).text
    found = [parse(line) for line in text.splitlines()]
    return [line for line in found if line is not None]


class TestLines:
    def test_both_words_on_a_row_share_its_id_and_are_numbered_apart(
        self, bucket: Bucket, cache: ModelCache, clock: Clock
    ) -> None:
        on_trial(bucket)
        snapshot, capture = cache.get("iris"), Capture("one")
        lines_of(snapshot, ask(snapshot, Asked(clock), outsider()), capture)
        answered, shadow = lines_of(snapshot, ask(snapshot, Asked(clock), insider()), capture)
        assert (answered.role, answered.version, answered.number) == ("canary", CHALLENGER.version, 2)
        assert (shadow.role, shadow.version, shadow.number) == ("shadow", CHAMPION.version, 1)
        assert (shadow.prediction_id, shadow.served, shadow.record) == (answered.prediction_id, 2, {})
        assert answered.record == IRIS_RECORD and answered.generation == shadow.generation == 2

    def test_a_challenger_that_failed_is_told_of_in_the_champions_line(
        self, bucket: Bucket, cache: ModelCache, clock: Clock
    ) -> None:
        on_trial(bucket, 1.0)
        snapshot = cache.get("iris")
        [line] = lines_of(snapshot, ask(snapshot, Asked(clock, failing=CHALLENGER.version)), Capture("one"))
        assert (line.role, line.version, line.challenger_error) == ("champion", CHAMPION.version, "overflow")

    def test_a_shadow_of_a_line_that_is_lost_is_not_written(
        self, bucket: Bucket, cache: ModelCache, clock: Clock
    ) -> None:
        on_trial(bucket, 1.0)
        snapshot = cache.get("iris")
        answers = ask(snapshot, Asked(clock))
        record, identifier = snapshot.predictor.schema.validate(IRIS_RECORD), uuid7(0.0, bytes(10))
        lines = Capture("one").lines(
            snapshot, Occasion("t", "r"), [record], answers.predictions, [identifier], withheld=[identifier],
            answers=answers,
        )  # fmt: skip
        assert lines == ("", 1)

    def test_lines_of_earlier_releases_are_the_champions(self) -> None:
        old: dict[str, Any] = {
            "kind": "perennial.prediction", "prediction_id": uuid7(0.0, bytes(10)), "model": "iris", "version": "v",
            "generation": 1, "time": "2026-11-21T08:00:00+00:00", "instance": "a", "number": 1, "served": 1,
            "request_id": "r", "record": {}, "prediction": "setosa",
        }  # fmt: skip
        line = parse(json.dumps(old))
        assert line is not None and (line.role, line.challenger_error) == ("champion", None)
