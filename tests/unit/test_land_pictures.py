"""Pictures land from folders and listings, and what cannot be read is listed and harms nothing else."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from obstore.store import MemoryStore

from perennial import keys
from perennial.datasets.landing import LandedPictures, land, list_landed
from perennial.datasets.picture_landing import land_pictures
from perennial.errors import DataError, StoreUnavailable
from perennial.store import Store, memory_store
from tests.support.datasets import DyingStore, make_spec
from tests.support.pictures import class_folders, image_spec, pet_bytes, picture_bytes


def listed(store: Store, key: str) -> list[dict[str, object]]:
    return list(pq.read_table(io.BytesIO(store.get(key).data)).to_pylist())


def test_a_folder_of_class_folders_lands_as_one_listing(tmp_path: Path) -> None:
    spec, store = image_spec(), memory_store()
    folder = class_folders(tmp_path / "my pets", ["cat", "dog"])
    (folder / "cat" / "old" / "deep").mkdir(parents=True)
    (folder / "cat" / "old" / "deep" / "1.png").write_bytes(pet_bytes(99, "cat"))
    (folder / "cat" / ".DS_Store").write_bytes(b"hidden")
    (folder / ".thumbs").mkdir()
    (folder / ".thumbs" / "x.png").write_bytes(b"hidden")
    landed = land(store, spec, folder)
    assert isinstance(landed, LandedPictures)
    assert (landed.pictures, landed.known, landed.failures, landed.new) == (41, 0, (), True)
    rows = listed(store, landed.key)
    assert {row["file"]: row["label"] for row in rows}["cat/old/deep/1.png"] == "cat"
    assert [row["file"] for row in rows] == sorted(str(row["file"]) for row in rows)
    for row in rows:
        assert store.get(keys.image(spec.name, str(row["image"]))).data == (folder / str(row["file"])).read_bytes()
    assert [one.key for one in list_landed(store, spec)] == [landed.key]


def test_landing_again_changes_nothing_and_new_pictures_land_alone(tmp_path: Path) -> None:
    spec, store = image_spec(), memory_store()
    folder = class_folders(tmp_path / "pets", {"cat": 3, "dog": 3})
    first = land_pictures(store, spec, folder)
    before = [(entry.key, entry.etag) for entry in store.list(f"{spec.name}/")]
    again = land_pictures(store, spec, folder, name="another-name")
    assert (again.key, again.digest, again.new, again.pictures, again.known) == (first.key, first.digest, False, 0, 6)
    assert [(entry.key, entry.etag) for entry in store.list(f"{spec.name}/")] == before
    class_folders(folder, {"dog": 2}, start=100)
    more = land_pictures(store, spec, folder)
    assert (more.pictures, more.known) == (2, 6)
    assert [row["file"] for row in listed(store, more.key)] == ["dog/00100.png", "dog/00101.png"]


@pytest.mark.parametrize("landed", [True, False])
@pytest.mark.parametrize("deaths_at", [0, 6, 10])
def test_the_listing_is_the_commit_and_a_run_that_was_cut_off_goes_on(
    tmp_path: Path, deaths_at: int, landed: bool
) -> None:
    spec, raw = image_spec(), MemoryStore()
    folder = class_folders(tmp_path / "pets", {"cat": 5, "dog": 5})
    with pytest.raises(StoreUnavailable):
        land_pictures(DyingStore(raw, deaths_at, landed=landed), spec, folder)
    committed = deaths_at == 10 and landed
    assert len(list_landed(Store(raw), spec)) == committed
    there = {entry.key: entry.etag for entry in Store(raw).list(f"{spec.name}/images/")}
    again = land_pictures(Store(raw), spec, folder)
    assert (again.pictures + again.known, again.new) == (10, not committed)
    after = {entry.key: entry.etag for entry in Store(raw).list(f"{spec.name}/images/")}
    assert there.items() <= after.items()
    assert again.digest == land_pictures(memory_store(), spec, folder).digest


def test_what_cannot_be_read_is_listed_with_its_reason_and_the_rest_lands(tmp_path: Path) -> None:
    spec, store = image_spec(), memory_store()
    folder = class_folders(tmp_path / "pets", {"cat": 2, "dog": 2})
    outside = tmp_path / "outside.png"
    outside.write_bytes(pet_bytes(7))
    (folder / "cat" / "notes.txt").write_text("not a picture")
    (folder / "cat" / "short.png").write_bytes(pet_bytes(1)[:100])
    (folder / "cat" / "empty.png").write_bytes(b"")
    (folder / "cat" / "out.png").symlink_to(outside)
    (folder / "cat" / "gone.png").symlink_to(folder / "nowhere")
    (folder / "cat" / "in.png").symlink_to(folder / "dog" / "00000.png")
    (folder / "linked").symlink_to(tmp_path)
    (folder / "stray.png").write_bytes(pet_bytes(8))
    (folder / "zebra").mkdir()
    (folder / "zebra" / "z.png").write_bytes(pet_bytes(9))
    os.mkfifo(folder / "dog" / "pipe")
    landed = land_pictures(store, spec, folder)
    reasons = {one.file: one.reason for one in landed.failures}
    assert reasons["cat/notes.txt"].startswith("is none of JPEG")
    assert reasons["cat/short.png"].startswith("begins as PNG and cannot be read")
    assert reasons["cat/empty.png"] == "is empty"
    assert reasons["cat/out.png"] == reasons["linked"] == "is a link that leaves the folder"
    assert reasons["cat/gone.png"] == "is a link that leads nowhere"
    assert reasons["stray.png"] == "lies in no class folder"
    assert reasons["zebra/z.png"] == "is of the class 'zebra', which the spec does not declare"
    assert reasons["dog/pipe"] == "is no plain file"
    assert len(reasons) == 9
    assert landed.pictures == 5


def test_where_nothing_is_a_picture_nothing_lands_and_the_reasons_are_told(tmp_path: Path) -> None:
    spec, store = image_spec(), memory_store()
    (tmp_path / "pets" / "cat").mkdir(parents=True)
    with pytest.raises(DataError, match="holds no picture"):
        land_pictures(store, spec, tmp_path / "pets")
    for name in "abc":
        (tmp_path / "pets" / "cat" / name).write_text("words")
    with pytest.raises(DataError, match=r"none of its 3 pictures could be landed: is none of .* \(3, first cat/a\)"):
        land_pictures(store, spec, tmp_path / "pets")
    assert list(store.list("")) == []


def test_the_innermost_folder_of_a_declared_class_is_the_label(tmp_path: Path) -> None:
    spec, store = image_spec(), memory_store()
    class_folders(tmp_path / "pets" / "train", {"cat": 1, "dog": 1})
    class_folders(tmp_path / "pets" / "test", {"cat": 1, "dog": 1}, start=50)
    landed = land_pictures(store, spec, tmp_path / "pets")
    assert {str(row["file"]): row["label"] for row in listed(store, landed.key)} == {
        "test/cat/00050.png": "cat",
        "test/dog/00050.png": "dog",
        "train/cat/00000.png": "cat",
        "train/dog/00000.png": "dog",
    }


@pytest.mark.parametrize("kind", ["csv", "tsv", "parquet"])
def test_a_listing_names_paths_relative_to_itself(tmp_path: Path, kind: str) -> None:
    spec = image_spec(image={"size": 16, "column": "where", "group": "owner"})
    store = memory_store()
    class_folders(tmp_path / "pets", {"cat": 2, "dog": 1})
    rows = [
        ("cat/00000.png", "cat", "ann"),
        ("cat/00001.png", "cat", "NA"),
        ("dog/00000.png", "dog", "bob"),
        ("dog/none.png", "dog", "bob"),
        ("", "dog", "bob"),
        ("dog/00000.png", "", "bob"),
        ("ftp://example.org/a.png", "dog", "bob"),
    ]
    path = tmp_path / "pets" / f"list.{kind}"
    if kind == "parquet":
        columns = dict(zip(("where", "label", "owner"), zip(*rows, strict=True), strict=True))
        pq.write_table(pa.table({name: list(cells) for name, cells in columns.items()}), path)
    else:
        mark = "," if kind == "csv" else "\t"
        path.write_text("\n".join(mark.join(row) for row in [("where", "label", "owner"), *rows]))
    landed = land_pictures(store, spec, path)
    assert [(row["file"], row["label"], row["group"]) for row in listed(store, landed.key)] == [
        ("cat/00000.png", "cat", "ann"),
        ("cat/00001.png", "cat", None),
        ("dog/00000.png", "dog", "bob"),
    ]
    assert [(one.row, one.file, one.reason) for one in landed.failures] == [
        (4, "dog/none.png", "cannot be read (no such file or directory)"),
        (5, "", "names no picture"),
        (6, "dog/00000.png", "has no label"),
        (7, "ftp://example.org/a.png", "is no address of http, https or s3"),
    ]


def test_one_picture_is_no_listing_of_them(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(picture_bytes(format="JPEG"))
    with pytest.raises(DataError, match=r"photo\.jpg: is a picture\. Name a folder with a folder for each class"):
        land_pictures(memory_store(), image_spec(), tmp_path / "photo.jpg")


@pytest.mark.parametrize(
    ("header", "column"), [("where,owner", "label"), ("label,owner", "where"), ("where,label", "owner")]
)
def test_a_listing_that_lacks_a_column_is_an_error_that_names_it(tmp_path: Path, header: str, column: str) -> None:
    spec = image_spec(image={"size": 16, "column": "where", "group": "owner"})
    path = tmp_path / "list.csv"
    path.write_text(f"{header}\na,b\n")
    with pytest.raises(DataError) as caught:
        land_pictures(memory_store(), spec, path)
    assert caught.value.column == column


def test_addresses_of_s3_are_read_from_their_bucket(tmp_path: Path) -> None:
    spec, store, other = image_spec(), memory_store(), memory_store()
    other.put_new("raw/a.png", pet_bytes(1))
    other.put_new("raw/b.png", bytes(2_000_001))
    (tmp_path / "list.csv").write_text(
        "url,label\ns3://lake/raw/a.png,cat\nS3://lake/raw/none.png,dog\ns3://lake,dog\ns3://lake/raw/b.png,dog\n"
    )
    spec = image_spec(image={"size": 16, "download_bytes": 2_000_000})
    landed = land_pictures(store, spec, tmp_path / "list.csv", buckets={"lake": other}.__getitem__)
    assert landed.pictures == 1
    assert [one.reason for one in landed.failures] == [
        "is not there",
        "names no object of a bucket",
        "is larger than 2,000,000 bytes",
    ]


def test_a_model_of_records_takes_no_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is a folder"):
        land(memory_store(), make_spec(), tmp_path)


def test_places_that_are_none_fail_alone_and_hold_nothing_up(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(pet_bytes(1, "cat"))
    os.mkfifo(tmp_path / "pipe.png")
    asked: list[str] = []

    def buckets(name: str) -> Store:
        asked.append(name)
        raise StoreUnavailable(f"{name} does not answer.")

    rows = {
        "1.png": None,
        "a\0b.png": "is no path",
        "/dev/zero": "is no plain file",
        "pipe.png": "is no plain file",
        "s3://": "names no object of a bucket",
        "s3:///key.png": "names no object of a bucket",
        "s3://lake": "names no object of a bucket",
        "s3://../other/key.png": "names no object of a bucket",
        "s3://a b/key.png": "names no object of a bucket",
        "s3://Lake!/key.png": "names no object of a bucket",
        "s3://lake//key.png": "names no object of a bucket",
        "s3://lake/a/../key.png": "names no object of a bucket",
        "s3://lake/key.png": "cannot be read: lake does not answer.",
    }
    table = pa.table({"file": list(rows), "label": ["cat"] * len(rows)})
    pq.write_table(table, tmp_path / "listing.parquet")
    landed = land_pictures(memory_store(), image_spec(), tmp_path / "listing.parquet", buckets=buckets)
    assert landed.pictures == 1
    assert {one.file: one.reason for one in landed.failures} == {
        place: why.rstrip(".") for place, why in rows.items() if why is not None
    }
    assert asked == ["lake"], "a name that is no bucket's becomes part of no address"


def test_a_folder_named_as_no_value_is_told_of_at_once_unless_the_spec_declares_it(tmp_path: Path) -> None:
    folder = class_folders(tmp_path / "pets", {"cat": 2, "dog": 2})
    (folder / "cat").rename(folder / "NA")
    free = image_spec(target={"column": "label", "positive": "dog"})
    landed = land_pictures(memory_store(), free, folder)
    assert landed.pictures == 2
    assert {one.reason for one in landed.failures} == {
        "is of the class 'NA', which means that there is none; declare it in target.classes"
    }
    declared = image_spec(target={"column": "label", "positive": "dog", "classes": ["NA", "dog"]})
    assert land_pictures(memory_store(), declared, folder).failures == ()
    (folder / "listing.csv").write_text("file,label\nNA/00000.png,NA\ndog/00000.png,dog\n")
    assert land_pictures(memory_store(), declared, folder / "listing.csv").failures == ()


@pytest.mark.parametrize("declared", [None, ["caf\u00e9", "dog"], ["cafe\u0301", "dog"]])
def test_a_class_is_one_however_the_system_writes_its_accents(tmp_path: Path, declared: list[str] | None) -> None:
    folder = class_folders(tmp_path / "pets", {"cat": 2, "dog": 2})
    (folder / "caf\u00e9").mkdir()
    (folder / "cafe\u0301").mkdir()
    (folder / "cat" / "00000.png").rename(folder / "caf\u00e9" / "1.png")
    (folder / "cat" / "00001.png").rename(folder / "cafe\u0301" / "2.png")
    target = {"column": "label", "positive": "dog"} | ({} if declared is None else {"classes": declared})
    store = memory_store()
    landed = land_pictures(store, image_spec(target=target), folder)
    assert landed.failures == ()
    assert {row["label"] for row in listed(store, landed.key)} == {declared[0] if declared else "caf\u00e9", "dog"}


def test_a_class_folder_whose_name_is_no_text_is_told_of(tmp_path: Path) -> None:
    folder = class_folders(tmp_path / "pets", {"cat": 2, "dog": 2})
    (folder / "cat").rename(folder / os.fsdecode(b"\xff"))
    landed = land_pictures(memory_store(), image_spec(target={"column": "label", "positive": "dog"}), folder)
    assert landed.pictures == 2
    assert {one.reason for one in landed.failures} == {"lies in a folder whose name is no UTF-8"}
