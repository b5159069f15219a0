"""Labels that are given again and again, contradicted and forged, to functions that die, over a way that fails."""

from __future__ import annotations

import io
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from random import Random
from typing import Any, Literal

from lambdas.api.app import create_app
from perennial import keys
from perennial.datasets.collected import read_collected
from perennial.serving.batches import batches
from perennial.serving.ids import day_of
from perennial.serving.labels import Label
from perennial.settings import Settings
from perennial.store import Store
from perennial.store_opening import open_store
from tests.support import models
from tests.support.chaos.batch_worker import Job, Worker
from tests.support.chaos.faulty import Faulty, Plan, faulty
from tests.support.chaos.feedback_findings import Finding, Verdict
from tests.support.chaos.feedback_worker import collect_labels, take_labels
from tests.support.events import caller, event

MODEL = "iris"
CLASSES = models.CLASSES["multiclass"]
PATH = f"/models/{MODEL}/feedback"
MOST_ATTEMPTS = 100
Kind = Literal["label", "label told again", "contradicting label", "forged token", "token of another prediction"]
FORGED: tuple[Kind, ...] = ("forged token", "token of another prediction")


@dataclass(frozen=True)
class Saying:
    """One call: what kind of thing is said of a prediction, by which token."""

    kind: Kind
    prediction: str
    token: str
    truth: str

    def event(self) -> dict[str, Any]:
        body = {"prediction_id": self.prediction, "feedback_token": self.token, "ground_truth": self.truth}
        return event("POST", PATH, json.dumps(body))


@dataclass
class Siege:
    """One bucket with a model, its callers, and what they were told: by prediction, the truths that were taken."""

    settings: Settings
    seed: int
    mutant: str | None = None
    happened: Counter[str] = field(default_factory=Counter)
    answers: list[tuple[Saying, int]] = field(default_factory=list)
    broken: Verdict = field(default_factory=Verdict)
    _alive: dict[str, Worker] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.store: Store = open_store(self.settings)
        self._lock = threading.Lock()
        models.promote(self.store, models.build(models.make_spec(MODEL)))

    def predict(self, count: int) -> tuple[list[dict[str, str]], list[str]]:
        """Have so many predictions made; their ids and tokens, and the lines that are logged of them."""
        call, log = caller(create_app(self.settings, self.store)), io.StringIO()
        with redirect_stdout(log):
            body = json.dumps({"instances": [models.IRIS_RECORD] * count})
            found: list[dict[str, str]] = call("POST", f"/models/{MODEL}/predict", body).json["predictions"]
        return found, log.getvalue().splitlines()

    def say(self, sayings: Sequence[Saying], plan: Plan, workers: int = 3) -> None:
        """Say all of it, to functions of which some die; each caller asks again until they are answered."""
        waiting = list(sayings)

        def serve(slot: int, proxy: Faulty) -> None:
            ask = self._asking(f"say-{slot}", proxy, take_labels)
            while True:
                with self._lock:
                    if not waiting:
                        return
                    saying = waiting.pop()
                answer = ask(saying.event())
                while answer is None or answer["statusCode"] == 503:
                    if self.broken[Finding.DIED]:
                        return
                    self.happened["caller asks again"] += 1
                    time.sleep(0.0 if answer is None else 0.2)
                    answer = ask(saying.event())
                with self._lock:
                    self.answers.append((saying, answer["statusCode"]))
                    self.happened[saying.kind] += 1

        self._under(plan, serve, workers)

    def capture(self, lines: Sequence[str], chance: Random) -> None:
        """Deliver the lines of predictions, some of them twice and in another order."""
        for start in range(0, len(lines), 20):
            some = list(lines[start : start + 20])
            for copy in range(chance.randint(1, 2)):
                self.happened["capture told again"] += copy
                for batch in batches(chance.sample(some, len(some))):
                    self.store.put_new(batch.key, batch.data)

    def collect(self, name: str, plan: Plan, collectors: int = 2) -> None:
        """Collect what there is, by several at once; whoever is killed begins again."""

        def serve(slot: int, proxy: Faulty) -> None:
            ask = self._asking(f"{name}-{slot}", proxy, collect_labels)
            for _ in range(MOST_ATTEMPTS):
                answer = ask({"run": f"{name}-{slot}"})
                if answer is not None and answer["collected"] is not None:
                    return
            self.broken[Finding.UNENDED] += 1

        self._under(plan, serve, collectors)

    def judge(self) -> Verdict:
        """Labels that were taken and are gone, that count twice, and promises that were broken."""
        found = Verdict(self.broken)
        taken = {(said.prediction, said.truth) for said, status in self.answers if status == 202}
        stored = {prediction: self._stored(prediction) for prediction, _ in taken}
        for prediction, truth in taken:
            found[Finding.GONE] += stored[prediction] is None
            found[Finding.REPLACED] += stored[prediction] not in (None, truth)
        files = list(read_collected(self.store, models.make_spec(MODEL), "feedback"))
        collected = [prediction for file in files for prediction in file.predictions]
        found[Finding.LEFT_OUT] += len(set(stored) - set(collected))
        found[Finding.TWICE] += len(collected) - len(set(collected))
        found[Finding.FROM_NOWHERE] += len(set(collected) - set(stored))
        for said, status in self.answers:
            forged = said.kind in FORGED
            agrees = status == 409 and stored.get(said.prediction) == said.truth
            found[Finding.FORGED] += forged and status == 202
            found[Finding.MISTAKEN] += agrees or status not in ((403, 202) if forged else (202, 409))
        return found

    def _stored(self, prediction: str) -> str | None:
        found = self.store.find(keys.label(MODEL, day_of(prediction), prediction))
        return str(Label.model_validate_json(found.data).truth) if found else None

    def _under(self, plan: Plan, serve: Callable[[int, Faulty], None], number: int) -> None:
        with faulty(str(self.settings.aws_endpoint_url), plan, on_kill=self._kill) as proxy:
            threads = [threading.Thread(target=serve, args=(slot, proxy)) for slot in range(number)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            for worker in self._alive.values():
                worker.kill()
            self._alive.clear()
            self.happened.update({str(fault): count for fault, count in proxy.injected.items()})

    def _asking(
        self, name: str, proxy: Faulty, target: Callable[[Connection, Job], None]
    ) -> Callable[[dict[str, Any]], dict[str, Any] | None]:
        """Asks a worker, and has another one where it died, of which it gives None."""
        number, client = 0, ""

        def ask(what: dict[str, Any]) -> dict[str, Any] | None:
            nonlocal number, client
            if client not in self._alive:
                number, client = number + 1, f"{name}-{number + 1}"
                settings = self.settings.model_copy(update={"aws_endpoint_url": proxy.url_for(client)})
                self._alive[client] = Worker(Job(settings.exports(), self.mutant), target)
            worker = self._alive[client]
            answer = worker.do(what)
            if answer is None:
                self._alive.pop(client, None)
                self.broken[Finding.DIED] += not worker.killed
            return answer

        return ask

    def _kill(self, client: str) -> None:
        if (worker := self._alive.get(client)) is not None:
            worker.kill()
