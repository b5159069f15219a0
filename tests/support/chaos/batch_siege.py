"""Files that are scored while everything goes wrong: events, workers, and the way to S3."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from random import Random
from typing import Any

from perennial import keys
from perennial.serving.batch_job import BatchRequest
from perennial.settings import Settings
from perennial.store import Store
from perennial.store_opening import open_store
from tests.support import models
from tests.support.batch_world import START, created
from tests.support.chaos.batch_files import PART_BYTES, PICTURES, TABLES, Dropped
from tests.support.chaos.batch_queue import MOST_COPIES, Message, Queue, as_event, by_s3
from tests.support.chaos.batch_worker import Job, Worker
from tests.support.chaos.faulty import Faulty, Plan, faulty

INPUT = tuple[str, str]
"""Key and version of an object."""


@dataclass(frozen=True)
class Scene:
    """What goes wrong in a siege: the ``plan`` on the way to S3, and so many ``kills`` at any moment.

    No ``seconds`` may go by in which no message is done. ``tasks_wait``: no task is told of before the first file is
    planned and other versions are champions. The rest is for the queue and the workers.
    """

    plan: Plan
    kills: int
    workers: int = 3
    copies: int = MOST_COPIES
    mutant: str | None = None
    upload_bytes: int | None = None
    seconds: float = 90.0
    tasks_wait: bool = False


@dataclass
class Ended:
    """What was put in, and what went wrong meanwhile. ``drained``: all messages were done in time.

    ``died`` counts workers that nobody killed, and that are dead.
    """

    inputs: dict[INPUT, Dropped] = field(default_factory=dict)
    jobs: dict[INPUT, str] = field(default_factory=dict)
    happened: Counter[str] = field(default_factory=Counter)
    drained: bool = False
    died: int = 0


class Siege:
    """One bucket, the files put into it, and the workers that score them. ``s3`` is a client that nothing befalls."""

    def __init__(self, s3: Any, settings: Settings, champions: Mapping[str, Sequence[Any]], chance: Random) -> None:
        self._s3, self._settings, self._champions, self._chance = s3, settings, champions, chance
        self.store: Store = open_store(settings)
        self.ended = Ended()
        self._told: set[str] = set()
        self._lock = threading.Lock()
        self._alive: dict[str, Worker] = {}
        self._over = threading.Event()
        self._may_tell = threading.Event()

    def run(self, files: Sequence[Dropped], scene: Scene) -> Ended:
        """Have the files scored, come what may."""
        queue = Queue(Random(self._chance.random()), scene.copies)
        if not scene.tasks_wait:
            self._may_tell.set()
        for versions in self._champions.values():
            models.promote(self.store, versions[0])
        with ExitStack() as stack:
            proxy = stack.enter_context(
                faulty(str(self._settings.aws_endpoint_url), scene.plan, on_kill=self._kill_client)
            )
            threads = [threading.Thread(target=self._serve, args=(slot, queue, proxy, scene)) for slot in
                       range(scene.workers)]  # fmt: skip
            threads.append(threading.Thread(target=self._kill_at_random, args=(scene.kills, Random(scene.plan.seed))))
            for thread in threads:
                thread.start()
            try:
                self._drop(files, queue)
                self._drain(queue, proxy, scene.seconds)
            finally:
                self._over.set()
                for thread in threads:
                    thread.join()
                for worker in self._alive.values():
                    worker.kill()
            self.ended.happened.update({str(fault): count for fault, count in proxy.injected.items()})
        self.ended.happened.update(queue.happened)
        return self.ended

    def _drop(self, files: Sequence[Dropped], queue: Queue) -> None:
        """Put one after the other; in the middle other versions become champions."""
        due = len(files) // 2
        for place, file in enumerate(files):
            if place == due:
                self._await_work(queue, due)
                for versions in self._champions.values():
                    models.promote(self.store, versions[1])
                self.ended.happened["promotion meanwhile"] += len(self._champions)
                self._may_tell.set()
            self._put(file, place, queue)

    def _await_work(self, queue: Queue, due: int) -> None:
        """Wait until as many files are taken up; where tasks wait, until there are some."""
        while not (queue.delivered >= due and (self._may_tell.is_set() or self._tasks())):
            time.sleep(0.01)

    def _put(self, file: Dropped, place: int, queue: Queue) -> None:
        key, job = keys.batch_in(file.model, file.name), None
        if file.options is not None:
            job = hashlib.sha256(f"{place} {file.name}".encode()).hexdigest()[:32]
            request = BatchRequest(model=file.model, name=file.name, options=file.options, created=START, size=0)
            self.store.put_new(keys.batch_request(file.model, job), request.to_bytes())
            queue.send(created(keys.batch_request(file.model, job), bucket=self._settings.bucket))
            key = keys.batch_upload(file.model, job, file.name)
        answer = self._s3.put_object(Bucket=self._settings.bucket, Key=key, Body=file.data)
        told = {"size": len(file.data), "etag": answer["ETag"].strip('"'), "version-id": answer["VersionId"]}
        self.ended.happened["input replaced"] += any(known == key for known, _ in self.ended.inputs)
        self.ended.inputs[key, answer["VersionId"]] = file
        if job is not None:
            self.ended.jobs[key, answer["VersionId"]] = job
        says = by_s3 if self._chance.random() < 0.5 else created_in
        queue.send(says(self._settings.bucket, key, **told))

    def _drain(self, queue: Queue, proxy: Faulty, seconds: float) -> None:
        """Wait until nothing is left to do: no message, no request on its way, no task that was not told of."""
        done, since = 0, time.monotonic()
        while time.monotonic() < since + seconds:
            if done != queue.done:
                done, since = queue.done, time.monotonic()
            if queue.empty:
                proxy.settle()
                if not self._tell(queue) and queue.empty:
                    self.ended.drained = True
                    return
            time.sleep(0.02)

    def _serve(self, slot: int, queue: Queue, proxy: Faulty, scene: Scene) -> None:
        """Be one place at which workers work, one after the other."""
        worker, client, number = None, "", 0
        while not self._over.is_set():
            taken = queue.take()
            if not taken:
                time.sleep(0.01)
                continue
            if worker is None:
                number += 1
                client = f"{slot}-{number}"
                worker = Worker(self._job(proxy.url_for(client), scene))
                with self._lock:
                    self._alive[client] = worker
            answer = worker.do(as_event(taken))
            if answer is None:
                with self._lock:
                    self._alive.pop(client, None)
                    self.ended.died += not worker.killed
                worker = None
            queue.end(taken, self._again(taken, answer))
            self._tell(queue)

    def _again(self, taken: Sequence[Message], answer: dict[str, Any] | None) -> Sequence[Message]:
        """What was not done: all of it where the worker died."""
        if answer is None:
            return taken
        failed = {one["itemIdentifier"] for one in answer["batchItemFailures"]}
        with self._lock:
            self.ended.happened["part of a batch handed back"] += 0 < len(failed) < len(taken)
        return [message for place, message in enumerate(taken) if str(place) in failed]

    def _tell(self, queue: Queue) -> bool:
        """Tell of the tasks that workers have put; whether there were new ones."""
        if not self._may_tell.is_set():
            return False
        found = self._tasks()
        with self._lock:
            new = [key for key in found if key not in self._told]
            self._told.update(new)
            for key in new:
                queue.send(created(key, bucket=self._settings.bucket))
        return bool(new)

    def _tasks(self) -> list[str]:
        return [entry.key for model in (TABLES, PICTURES) for entry in self.store.list(f"{model}/batch/tasks/")]

    def _job(self, url: str, scene: Scene) -> Job:
        settings = self._settings.model_copy(update={"aws_endpoint_url": url, "part_bytes": PART_BYTES})
        return Job(settings.exports(), scene.mutant, scene.upload_bytes)

    def _kill_client(self, client: str) -> None:
        with self._lock:
            worker = self._alive.get(client)
        if worker is not None:
            worker.kill()

    def _kill_at_random(self, kills: int, chance: Random) -> None:
        """Kill whoever is at work, every few moments."""
        while kills and not self._over.wait(chance.uniform(0.05, 0.4)):
            with self._lock:
                worker = chance.choice(list(self._alive.values())) if self._alive else None
            if worker is not None and worker.process.is_alive():
                worker.kill()
                kills -= 1
                self.ended.happened["kill -9 at any moment"] += 1


def created_in(bucket: str, key: str, **told: Any) -> str:
    """What EventBridge says."""
    return created(key, bucket=bucket, **told)
