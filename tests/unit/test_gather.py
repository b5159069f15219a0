"""Pictures and listings that other tools put into landing: gathered once, in a listing that is the commit."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from typing import Any

import pyarrow.parquet as pq
import pytest
from obstore.store import MemoryStore

from perennial import keys
from perennial.datasets import gather as gathering
from perennial.datasets.gather import Gathered, gather, ungathered
from perennial.datasets.landing import list_landed
from perennial.datasets.snapshot import snapshot
from perennial.errors import StoreUnavailable
from perennial.jobs.collect import collect
from perennial.jobs.landed import arrivals
from perennial.jobs.workspace import Workspace
from perennial.spec import ModelSpec
from perennial.store import Store, memory_store
from tests.support.datasets import DyingStore
from tests.support.pictures import image_spec, pet_bytes

SPEC = image_spec()


def put(store: Store, name: str, data: bytes | str) -> None:
    store.put_new(keys.landing("pets", name), data.encode() if isinstance(data, str) else data)


def put_pets(store: Store, count: int = 12, start: int = 0) -> None:
    for kind in ("cat", "dog"):
        for seed in range(start, start + count):
            put(store, f"{kind}/day {seed % 3}/{seed}.png", pet_bytes(seed, kind))


def rows(store: Store, found: Gathered) -> list[dict[str, Any]]:
    return [row for key in found.files for row in pq.read_table(io.BytesIO(store.get(key).data)).to_pylist()]


def workspace(store: Store, spec: ModelSpec = SPEC) -> Workspace:
    now = datetime(2026, 11, 21, tzinfo=UTC)
    return Workspace(spec, store, "run", "code", None, lambda text: None, lambda: now)


def test_loose_pictures_are_gathered_once_and_make_a_dataset() -> None:
    store = memory_store()
    put_pets(store)
    put(store, "cat/.hidden", "x")
    put(store, "cat/_SUCCESS", "x")
    put(store, ".checkpoints/1.png", "x")
    put(store, "cat/broken.png", pet_bytes(50)[:60])
    put(store, "stray.png", pet_bytes(51))
    assert list_landed(store, SPEC) == ()
    found = gather(store, SPEC)
    assert found.files == (keys.gathered("pets", 1),)
    assert (found.pictures, found.failures) == (24, 2)
    labels = {row["file"]: row["label"] for row in rows(store, found) if row["reason"] is None}
    assert labels["dog/day 1/1.png"] == "dog"
    assert gather(store, SPEC) == Gathered()
    manifest = snapshot(store, SPEC).manifest
    assert (manifest.rows(), manifest.refused) == (24, 2)
    (quarantine,) = [entry.key for entry in store.list(keys.quarantines("pets"))]
    told = [json.loads(text) for text in store.get(quarantine).data.splitlines()]
    assert {one["values"]["file"]: one["reason"] for one in told} == {
        "cat/broken.png": told[0]["reason"],
        "stray.png": "has no label",
    }
    assert told[0]["reason"].startswith("begins as PNG and cannot be read")


def test_what_is_new_or_replaced_is_gathered_later() -> None:
    raw = MemoryStore()
    store = Store(raw)
    put_pets(store, 2)
    gather(store, SPEC)
    put(store, "cat/late.png", pet_bytes(70))
    raw.put(keys.landing("pets", "dog/day 0/0.png"), pet_bytes(71, "dog"))
    assert [entry.key.removeprefix("pets/landing/") for entry in ungathered(store, SPEC)] == [
        "cat/late.png",
        "dog/day 0/0.png",
    ]
    found = gather(store, SPEC)
    assert found.files == (keys.gathered("pets", 2),)
    assert [row["file"] for row in rows(store, found)] == ["cat/late.png", "dog/day 0/0.png"]


def test_listings_name_pictures_of_landing_which_are_then_theirs() -> None:
    store = memory_store()
    put(store, "set/a.png", pet_bytes(1, "cat"))
    put(store, "set/b.png", pet_bytes(2, "dog"))
    put(store, "set/list.csv", "path,label\na.png,cat\n./b.png,dog\n../../../other/x.png,cat\n/a.png,cat\n,dog\n")
    put(store, "set/notes.csv", "title\nnothing of use\n")
    put(store, "set/odd.parquet", b"PAR1 damaged")
    found = gather(store, SPEC)
    told = [(row["file"], row["label"], row["reason"], row["origin"]) for row in rows(store, found)]
    assert sorted(told, key=str) == sorted(
        [
            ("set/a.png", "cat", None, "set/list.csv"),
            ("set/b.png", "dog", None, "set/list.csv"),
            ("../../../other/x.png", None, "row 3: leaves the landing folder", "set/list.csv"),
            ("/a.png", None, "row 4: leaves the landing folder", "set/list.csv"),
            ("", None, "row 5: names no picture", "set/list.csv"),
            (
                "set/notes.csv",
                None,
                "column 'image': is of pictures but not in the file",
                "set/notes.csv",
            ),
            ("set/odd.parquet", None, "is damaged Parquet", "set/odd.parquet"),
        ],
        key=str,
    )
    assert gather(store, SPEC) == Gathered()


@pytest.mark.parametrize("landed", [True, False])
@pytest.mark.parametrize("deaths_at", [0, 4, 5, 9])
def test_cut_off_anywhere_it_goes_on_and_each_picture_stands_in_one_listing(
    monkeypatch: pytest.MonkeyPatch, deaths_at: int, landed: bool
) -> None:
    monkeypatch.setattr(gathering, "CHUNK", 4)
    raw = MemoryStore()
    store = Store(raw)
    put_pets(store, 5)
    with pytest.raises(StoreUnavailable):
        gather(DyingStore(raw, deaths_at, landed=landed), SPEC)
    gather(store, SPEC)
    listings = [entry.key for entry in store.list(keys.gathered_files("pets"))]
    assert listings == [keys.gathered("pets", number) for number in (1, 2, 3)]
    files = [row["file"] for key in listings for row in pq.read_table(io.BytesIO(store.get(key).data)).to_pylist()]
    assert len(files) == len(set(files)) == 10


def test_of_two_that_gather_at_once_one_looks_again() -> None:
    store = memory_store()
    put_pets(store, 2)

    class Late(Store):
        """Another one gathers between this one's look and its put."""

        def put_new(self, key: str, data: bytes, **more: Any) -> str:
            if key == keys.gathered("pets", 1) and not self.exists(key):
                put(self, "cat/more.png", pet_bytes(80))
                gather(Store(self._raw), SPEC)
            return super().put_new(key, data, **more)

    assert gather(Late(store._raw), SPEC) == Gathered()
    assert gather(store, SPEC) == Gathered()
    assert [entry.key for entry in store.list(keys.gathered_files("pets"))] == [keys.gathered("pets", 1)]


def test_collecting_gathers_first_and_repeats_its_answer() -> None:
    store = memory_store()
    put_pets(store, 3)
    put(store, "cat/words.txt", "no picture")
    first = collect(workspace(store))
    assert (first.gathered, first.pictures, first.unreadable) == ((keys.gathered("pets", 1),), 6, 1)
    assert collect(workspace(store)) == first


def test_listings_that_were_gathered_start_no_training() -> None:
    def body(key: str) -> str:
        thing = {"bucket": {"name": "data"}, "object": {"key": key}}
        return json.dumps({"Records": [{"eventName": "ObjectCreated:Put", "s3": thing}]})

    found = arrivals([body(keys.gathered("pets", 1)), body("pets/landing/gathered/cat.png")], ["pets"])
    assert [one.keys for one in found.trainings] == [("pets/landing/gathered/cat.png",)]
    assert found.ignored == (f"{keys.gathered('pets', 1)}: gathered from landing",)
