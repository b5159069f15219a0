"""The questions of a soak, one at a time: each sends a request or two, and checks the answer against what is known."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import httpx

from tests.support.chaos.soak_journal import Journal, Wrong, expect
from tests.support.chaos.soak_world import SHOP, Answer, Asked, World
from tests.support.hostile_pictures import bomb_png
from tests.support.models import IRIS_RECORD

NEAR = 1e-9
MANY = 40
PENDING = 200
JSON = {"content-type": "application/json"}


class Labelled(NamedTuple):
    """A prediction that may still be labelled."""

    model: str
    identifier: str
    token: str
    truth: str


@dataclass
class Client:
    """One caller: its connection, what it draws, and the predictions that it may label. ``captured`` where the API
    that it asks hands its lines on."""

    http: httpx.Client
    world: World
    journal: Journal
    draw: random.Random
    captured: bool
    pending: deque[Labelled] = field(default_factory=lambda: deque(maxlen=PENDING))

    def one(self) -> None:
        """A single record."""
        asked, place = self._choose()
        found = self._post(asked.name, json=asked.questions[place])
        self._check(asked, place, found, found["model"]["version"])

    def instances(self) -> None:
        """Many records at once."""
        asked = self.draw.choice(self.world.tables)
        places = [self.draw.randrange(len(asked.questions)) for _ in range(MANY)]
        found = self._post(asked.name, json={"instances": [asked.questions[place] for place in places]})
        if len(found["predictions"]) != MANY:
            raise Wrong(f"{len(found['predictions'])} answers to {MANY} records")
        for place, line in zip(places, found["predictions"], strict=True):
            self._check(asked, place, line, found["model"]["version"])

    def picture(self) -> None:
        """A picture, in one of the three ways; one in eight is to be explained."""
        asked = self.world.pictures
        place, way = self.draw.randrange(len(asked.questions)), self.draw.randrange(8)
        picture = asked.questions[place]
        if way == 0:
            found = self._post(asked.name, "?explain=1", files={"image": ("a", picture)})
        elif way < 4:
            found = self._post(asked.name, files={"image": ("a", picture)})
        else:
            found = self._post(asked.name, content=picture, headers={"content-type": "application/octet-stream"})
        self._check(asked, place, found, found["model"]["version"])

    def shop(self) -> None:
        """A customer of the model that is watched."""
        price, colour = round(self.draw.uniform(0, 100), 2), self.draw.choice(["red", "green", "blue"])
        found = self._post(SHOP, json={"price": price, "colour": colour})
        self._remember(SHOP, found, "yes" if price < 50 else "no")

    def feedback(self) -> None:
        """What turned out true of an earlier prediction, said twice."""
        if not self.pending:
            return self.one()
        given = self.pending.popleft()
        body = {"prediction_id": given.identifier, "feedback_token": given.token, "ground_truth": given.truth}
        for word in ("stored", "already_stored"):
            answer = expect(self.http.post(f"/models/{given.model}/feedback", json=body), 202).json()
            if answer["status"] != word:
                raise Wrong(f"feedback: {answer['status']} instead of {word}")
            self.journal.labels[given.identifier] = given.model
        return None

    def bad(self) -> None:
        """What must be refused, each with its own status."""
        path, status, said = self.draw.choice(BAD)
        answer = expect(self.http.post(path, **said), status)
        if answer.headers["content-type"] != "application/problem+json" or "m4rk" in answer.text:
            raise Wrong(f"{path}: {answer.headers['content-type']}: {answer.text[:300]}")

    def look(self) -> None:
        """Whatever can be read."""
        expect(self.http.get(self.draw.choice(READ)), 200)

    def _choose(self) -> tuple[Asked, int]:
        asked = self.draw.choice(self.world.tables)
        return asked, self.draw.randrange(len(asked.questions))

    def _post(self, model: str, query: str = "", **said: Any) -> Any:
        return expect(self.http.post(f"/models/{model}/predict{query}", **said), 200).json()

    def _check(self, asked: Asked, place: int, found: Any, version: str) -> None:
        expected: Answer = asked.answers[version][place]
        told = found["probabilities"]
        if told.keys() != expected.keys() or any(abs(told[name] - expected[name]) > NEAR for name in told):
            raise Wrong(f"{asked.name} {version}: {told} instead of {dict(expected)}")
        if expected[found["prediction"]] < max(expected.values()) - NEAR:
            raise Wrong(f"{asked.name} {version}: {found['prediction']} of {told}")
        self._remember(asked.name, found, asked.truths[place % len(asked.truths)])

    def _remember(self, model: str, found: Any, truth: str) -> None:
        if found["feedback_token"] is None:
            raise Wrong(f"{model}: no token")
        if self.captured:
            self.journal.captured[found["prediction_id"]] = model
        elif model == SHOP:
            return  # whoever watches it would find labels of predictions that nobody kept
        self.pending.append(Labelled(model, found["prediction_id"], found["feedback_token"], truth))


Act = Callable[[Client], None]
ACTS: dict[str, tuple[Act, int]] = {
    "predictions of one record": (Client.one, 40),
    "predictions of 40 records": (Client.instances, 10),
    "predictions of pictures": (Client.picture, 12),
    "predictions of the watched model": (Client.shop, 10),
    "feedback": (Client.feedback, 10),
    "bad requests": (Client.bad, 12),
    "reads": (Client.look, 6),
}
"""What a client does, and how often in a hundred."""

READ = (
    "/health", "/ready", "/models", "/models/soaked-iris", "/models/soaked-pets/schema", "/openapi.json", "/docs",
)  # fmt: skip
_IRIS, _PETS = "/models/soaked-iris/predict", "/models/soaked-pets/predict"
BAD: tuple[tuple[str, int, dict[str, Any]], ...] = (
    (_IRIS, 422, {"json": IRIS_RECORD | {"petal_width": "m4rk"}}),
    (_IRIS, 422, {"json": IRIS_RECORD | {"stem": "m4rk"}}),
    (_IRIS, 422, {"json": {"instances": [IRIS_RECORD] * 1001}}),
    (_IRIS, 422, {"content": b'{"sepal_length": NaN, "stem": "m4rk"}', "headers": JSON}),
    (_IRIS, 400, {"content": b'{"m4rk":' + b"[" * 5000, "headers": JSON}),
    (_IRIS, 415, {"content": b"m4rk", "headers": {"content-type": "text/plain"}}),
    (_IRIS, 413, {"content": b'"m4rk' + b"a" * 1_048_576 + b'"', "headers": JSON}),
    ("/models/nobody/predict", 404, {"json": IRIS_RECORD}),
    (_PETS, 415, {"content": b"<svg>m4rk</svg>", "headers": {"content-type": "application/octet-stream"}}),
    (_PETS, 413, {"content": bomb_png(9_000, 9_000), "headers": {"content-type": "image/png"}}),
    ("/models/soaked-iris/feedback", 403, {
        "json": {"prediction_id": "m4rk", "feedback_token": "m4rk", "ground_truth": "setosa"},
    }),
    ("/models/soaked-iris/batches", 422, {"json": {"m4rk": 1}}),
)  # fmt: skip
