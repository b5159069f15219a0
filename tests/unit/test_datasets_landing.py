"""Landing a local file: once per content, never over another, nothing when it does not fit."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from perennial.datasets.landing import land, list_landed
from perennial.errors import DataError
from perennial.store import Store, memory_store
from tests.support.datasets import make_spec, people_csv

SPEC = make_spec()


def put(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def keys_of(store: Store) -> list[str]:
    return [one.key for one in list_landed(store, SPEC)]


def test_a_file_lands_once(tmp_path: Path) -> None:
    store = memory_store()
    data = people_csv(5)
    first = land(store, SPEC, put(tmp_path, "day.csv", data))
    again = land(store, SPEC, tmp_path / "day.csv")
    renamed = land(store, SPEC, put(tmp_path, "other.csv", data))
    assert (first.key, first.new) == ("people/landing/day.csv", True)
    assert again == renamed == first.model_copy(update={"new": False})
    assert first.digest == hashlib.sha256(data).hexdigest()
    assert store.get(first.key).data == data
    assert keys_of(store) == ["people/landing/day.csv"]


def test_other_content_under_a_taken_name_is_named_by_its_digest(tmp_path: Path) -> None:
    store = memory_store()
    land(store, SPEC, put(tmp_path, "day.csv.gz", people_csv(5)))
    data = people_csv(6)
    second = land(store, SPEC, put(tmp_path, "day.csv.gz", data))
    digest = hashlib.sha256(data).hexdigest()[:8]
    assert (second.key, second.new) == (f"people/landing/day-{digest}.csv.gz", True)
    assert not land(store, SPEC, tmp_path / "day.csv.gz").new
    assert store.get("people/landing/day.csv.gz").data == people_csv(5)


@pytest.mark.parametrize(
    ("name", "lands_as"),
    [
        ("Mein Tag #1.csv", "Mein_Tag_1.csv"),
        (".hidden.csv", "hidden.csv"),
        ("_x.csv", "x.csv"),
        ("a/../b.csv", "a_.._b.csv"),
    ],
)
def test_a_name_is_made_safe_for_keys(tmp_path: Path, name: str, lands_as: str) -> None:
    store = memory_store()
    landed = land(store, SPEC, put(tmp_path, "day.csv", people_csv(5)), name=name)
    assert landed.key == f"people/landing/{lands_as}"
    assert keys_of(store) == [landed.key]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is empty"),
        (people_csv(3, header="id;age;score;colour;town;ill"), "semicolons"),
        (people_csv(3, header="id,age,score,colour,town,sick"), "'ill': is the target"),
        (people_csv(3, header="id,age,score,color,town,ill"), "'colour': is in the spec but not in the file. Did you"),
        (people_csv(3, header="id,age,score,colour,colour,ill"), "appears more than once"),
        (people_csv(0), "no rows"),
        (people_csv(3).replace(b"town1", b"K\xf6ln"), "not UTF-8"),
    ],
)
def test_a_file_that_does_not_fit_is_not_stored(tmp_path: Path, data: bytes, says: str) -> None:
    store = memory_store()
    path = put(tmp_path, "day.csv", data)
    with pytest.raises(DataError) as caught:
        land(store, SPEC, path)
    assert str(caught.value).startswith(str(path))
    assert says in str(caught.value)
    assert not list(store.list(""))


def test_a_missing_file_is_not_stored(tmp_path: Path) -> None:
    store = memory_store()
    with pytest.raises(DataError, match="no such file"):
        land(store, SPEC, tmp_path / "gone.csv")
    assert not list(store.list(""))
