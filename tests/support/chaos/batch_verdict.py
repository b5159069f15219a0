"""What became of the files of a siege, beside what an undisturbed worker makes of them."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from perennial import keys
from perennial.errors import NotFoundError
from perennial.scoring.batch.records import find_plan
from perennial.serving.batch_job import BatchOutput, BatchRequest, BatchResult
from perennial.serving.batch_state import state_of
from perennial.store import Store
from tests.support import models
from tests.support.batch_world import START, World
from tests.support.chaos.batch_files import PART_BYTES, PICTURES, TABLES, Dropped
from tests.support.chaos.batch_findings import Finding, Verdict
from tests.support.chaos.batch_siege import INPUT, Ended


@dataclass(frozen=True)
class Undisturbed:
    """What one worker makes of each file, in memory, where nothing goes wrong."""

    champions: Mapping[str, Sequence[Any]]

    def outputs(self, file: Dropped, job: str | None, version: str) -> tuple[bytes, bytes | None]:
        """The rows that are scored and those that are refused, by a version of the model."""
        built = next(one for one in self.champions[file.model] if one.version == version)
        world = World(part_bytes=PART_BYTES)
        models.promote(world.store, built)
        name = file.name
        if job is not None and file.options is not None:
            request = BatchRequest(model=file.model, name=name, options=file.options, created=START, size=0)
            world.store.put_new(keys.batch_request(file.model, job), request.to_bytes())
            name = f"api/{job}/{name}"
        work = world.drop(file.model, name, file.data)
        world.run()
        result = world.result(file.model, job or work)
        assert result.state == "done" and result.scored and result.counts == file.counts, result
        refused = world.data(result.quarantined) if result.quarantined else None
        scored = world.data(result.scored)
        assert sorted(numbers(scored) + (numbers(refused) if refused else [])) == [*range(1, file.counts.rows + 1)]
        return scored, refused


def numbers(data: bytes) -> list[int]:
    """The numbers of the rows of a result, of either format."""
    table = pq.read_table(io.BytesIO(data)) if data[:4] == b"PAR1" else pa_csv.read_csv(io.BytesIO(data))
    found: list[int] = table.column(0).to_pylist()
    return found


@dataclass(frozen=True)
class Judge:
    """Judges one bucket. ``s3`` is a client that nothing befalls."""

    s3: Any
    bucket: str
    store: Store
    undisturbed: Undisturbed

    def judge(self, ended: Ended) -> Verdict:
        """Rows in are rows scored and rows refused, each once, one result per version of an input, as undisturbed."""
        found = Verdict()
        if not ended.drained:
            found.says(Finding.UNENDED, f"after {ended.happened}")
        found.says(Finding.DIED, "of themselves", ended.died)
        results = self._results()
        for place, file in ended.inputs.items():
            every = results.pop(place, [])
            if not every:
                found.says(Finding.NO_RESULT, f"{place}", max(1, file.counts.rows))
            for _, result in every[1:]:
                found.says(Finding.ANOTHER_RESULT, f"{place}: {result}")
            for work, result in every[:1]:
                self._file(found, file, ended.jobs.get(place), work, result)
        for place in results:
            found.says(Finding.NEVER_PUT, f"{place}")
        self._leftovers(found)
        return found

    def _results(self) -> dict[INPUT, list[tuple[str, BatchResult]]]:
        found: dict[INPUT, list[tuple[str, BatchResult]]] = {}
        for model in (TABLES, PICTURES):
            for work in self.store.folders(keys.batch_works(model)):
                key = keys.batch_result(model, work)
                blob = self.store.find(key)
                if blob is not None:
                    result = BatchResult.from_bytes(blob.data, key)
                    place = (result.input.key, str(result.input.version))
                    found.setdefault(place, []).append((work, result))
        return found

    def _file(self, found: Verdict, file: Dropped, job: str | None, work: str, result: BatchResult) -> None:
        if (result.state, result.counts) != (file.state, file.counts):
            found.says(
                Finding.OTHER_END, f"{file.name} is {result.state}, {result.counts}, {result.reason}, not {file.counts}"
            )
        if job is not None:
            state = state_of(self.store, file.model, job, START + timedelta(hours=1))
            if state is None or (state.state, state.progress, state.counts) != (file.state, 1.0, file.counts):
                found.says(Finding.TOLD_OTHERWISE, f"{file.name}: {state}")
        if result.state != "done" or file.state != "done":
            return
        plan = find_plan(self.store, file.model, work)
        if plan is None or plan.version != result.version:
            found.says(Finding.OTHER_VERSION, f"{file.name}: {plan and plan.version}, {result.version}")
        scored, refused = self.undisturbed.outputs(file, job, str(result.version))
        self._compare(found, file, result.scored, scored)
        self._compare(found, file, result.quarantined, refused)

    def _compare(self, found: Verdict, file: Dropped, output: BatchOutput | None, expected: bytes | None) -> None:
        if output is None or expected is None:
            if expected is not None:
                found.says(Finding.NOT_NAMED, f"of {file.name}", len(numbers(expected)))
            elif output is not None:
                found.says(Finding.NAMED_FOR_NOTHING, output.key)
            return
        try:
            data = self.store.get(output.key).data
        except NotFoundError:
            found.says(Finding.GONE, output.key, max(1, len(numbers(expected))))
            return
        if data != expected or len(data) != output.size:
            ours, theirs = Counter(numbers(data)), Counter(numbers(expected))
            found.says(Finding.ROWS_MISSING, output.key, (theirs - ours).total())
            found.says(Finding.ROWS_TWICE, output.key, (ours - theirs).total())
            found.says(Finding.OTHER_BYTES, output.key)

    def _leftovers(self, found: Verdict) -> None:
        """Each key was written once, and where readers look there is nothing that no result names."""
        named = {
            output.key
            for every in self._results().values()
            for _, result in every
            for output in (result.scored, result.quarantined)
            if output is not None
        }
        for key, versions in self._versions.items():
            told_of = not key.endswith("/progress.json") and "/batch/in/" not in key and "/alias/" not in key
            if versions > 1 and told_of:
                found.says(Finding.WRITTEN_AGAIN, f"{key}, {versions} times", versions - 1)
            if ("/batch/out/" in key or "/batch/quarantine/" in key) and key not in named:
                found.says(Finding.LEFT_OVER, key)

    @cached_property
    def _versions(self) -> Counter[str]:
        pages = self.s3.get_paginator("list_object_versions").paginate(Bucket=self.bucket)
        return Counter(version["Key"] for page in pages for version in page.get("Versions", []))
