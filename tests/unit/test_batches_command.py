"""``perennial batches`` and ``perennial redrive``."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from perennial.cli import app
from perennial.cli import batches as command
from perennial.errors import ConflictError, NotFoundError, QueueUnavailable, SettingsError
from perennial.jobs.batches import batch, batches
from perennial.jobs.redrive import redrive
from perennial.settings import Settings
from tests.support import models
from tests.support.batch_world import World

FILE = b"sepal_length,sepal_width,petal_length,petal_width\n" + b"5.1,3.5,1.4,0.2\n" * 200 + b"x,1,1,1\n"


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(part_bytes=1_000)
    models.promote(world.store, models.build())
    monkeypatch.setattr(command, "open_store", lambda settings: world.store)
    monkeypatch.setenv("PERENNIAL_BUCKET", "data")
    return world


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    return str(result.stdout)


def test_files_are_listed_newest_first_with_what_came_of_them(world: World) -> None:
    done = world.drop("iris", "good.csv", FILE)
    bad = world.drop("iris", "bad.csv", b"")
    world.run()
    under_way = world.drop("iris", "large.csv", FILE)
    for _ in range(3):
        world.work(world.messages.pop(0))
    found = batches(world.store, "iris")
    assert {(one.work, one.state) for one in found} == {(done, "done"), (bad, "failed"), (under_way, "scoring")}
    assert [one.started for one in found] == sorted((one.started for one in found), reverse=True)
    (going_on,) = [one for one in found if one.state == "scoring"]
    assert going_on.parts and going_on.parts > 2 and 0 < going_on.percent < 100
    text = run("batches", "iris")
    assert "good.csv" in text and "bad.csv" in text and "201" in text and done[:12] in text
    listed = json.loads(run("batches", "iris", "--json"))
    assert {one["work"] for one in listed} == {done, bad, under_way}


def test_a_model_without_files_is_told_from_one_that_is_not_there(world: World) -> None:
    assert "iris/batch/in/" in run("batches", "iris")
    for more in ([], ["--json"]):
        result = CliRunner().invoke(app, ["batches", "irsi", *more])
        assert isinstance(result.exception, NotFoundError)
        assert str(result.exception) == "Model irsi has no versions. Known models: iris."


def test_one_file_is_told_in_full(world: World) -> None:
    done, bad = world.drop("iris", "good.csv", FILE), world.drop("iris", "bad.csv", b"")
    world.run()
    text = run("batches", "iris", done[:10])
    assert "201 read, 200 scored, 1 quarantined" in text and "iris/batch/out/good.csv/" in text
    assert "iris/batch/quarantine/good.csv/" in text
    assert "reason" in run("batches", "iris", bad)
    assert json.loads(run("batches", "iris", done, "--json"))["counts"]["rows"] == 201
    with pytest.raises(NotFoundError, match="perennial batches iris"):
        batch(world.store, "iris", "nothing")
    with pytest.raises(ConflictError, match="Give more"):
        batch(world.store, "iris", "")


DEAD, QUEUE = "https://sqs/dead", "https://sqs/scoring"
SETTINGS = Settings(bucket="data", scoring_queue=QUEUE, scoring_dead_queue=DEAD)


class Queues:
    """SQS as far as it is used: what is received is hidden, and there until it is deleted.

    That this is how SQS behaves is tested on the deployed stack.
    """

    def __init__(self, *dead: str) -> None:
        self.there: dict[str, list[str]] = {DEAD: list(dead), QUEUE: []}
        self.hidden: list[str] = []
        self.takes = 10

    def receive_message(self, *, QueueUrl: str, MaxNumberOfMessages: int, **_: int) -> dict[str, Any]:
        found, self.there[QueueUrl] = (
            self.there[QueueUrl][:MaxNumberOfMessages],
            self.there[QueueUrl][MaxNumberOfMessages:],
        )
        self.hidden += found
        return {"Messages": [{"Body": body, "ReceiptHandle": body} for body in found]} if found else {}

    def send_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, str]]) -> dict[str, Any]:
        assert 0 < len(Entries) <= 10
        self.there[QueueUrl] += [one["MessageBody"] for one in Entries[: self.takes]]
        return {"Successful": [{"Id": one["Id"]} for one in Entries[: self.takes]]}

    def delete_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, str]]) -> None:
        assert QueueUrl == DEAD
        for one in Entries:
            self.hidden.remove(one["ReceiptHandle"])


def test_everything_dead_is_moved() -> None:
    bodies = [f"message {number:02d}" for number in range(23)]
    queues = Queues(*bodies)
    assert redrive(SETTINGS, queues) == 23
    assert queues.there == {DEAD: [], QUEUE: bodies} and queues.hidden == []
    assert redrive(SETTINGS, queues) == 0


def test_a_crash_between_sending_and_deleting_loses_nothing() -> None:
    class Dying(Queues):
        def delete_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, str]]) -> None:
            raise KeyboardInterrupt

    queues = Dying("0", "1", "2")
    with pytest.raises(KeyboardInterrupt):
        redrive(SETTINGS, queues)
    assert queues.there[QUEUE] == queues.hidden == ["0", "1", "2"]  # these come back by themselves


def test_what_the_queue_does_not_take_stays_dead() -> None:
    queues = Queues("0", "1")
    queues.takes = 1
    with pytest.raises(QueueUnavailable, match="took 1 of 2"):
        redrive(SETTINGS, queues)
    assert (queues.there[QUEUE], queues.hidden) == (["0"], ["1"])


def test_without_queues_or_an_answer_one_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="PERENNIAL_SCORING_QUEUE"):
        redrive(Settings(bucket="data"))
    nowhere = {name: f"http://127.0.0.1:9/1/{name}" for name in ("scoring_queue", "scoring_dead_queue")}
    with pytest.raises(QueueUnavailable, match="SQS: "):
        redrive(Settings(bucket="data", aws_endpoint_url="http://127.0.0.1:9").model_copy(update=nowhere))


def test_the_command_tells_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perennial.jobs.redrive._client", lambda settings: Queues("a", "b"))
    monkeypatch.setenv("PERENNIAL_BUCKET", "data")
    monkeypatch.setenv("PERENNIAL_SCORING_QUEUE", QUEUE)
    monkeypatch.setenv("PERENNIAL_SCORING_DEAD_QUEUE", DEAD)
    assert "2 messages" in run("redrive")
    assert json.loads(run("redrive", "--json")) == {"moved": 2}
