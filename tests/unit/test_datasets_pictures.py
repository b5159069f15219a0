"""Versions of pictures: what belongs together stays on one side, over every landing and any change of the spec."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from obstore.store import MemoryStore
from PIL import Image

from perennial import keys
from perennial.datasets.arrow import arrow_schema
from perennial.datasets.collected import collected_bytes
from perennial.datasets.load import load_split
from perennial.datasets.manifest import DatasetManifest, SplitName
from perennial.datasets.picture_landing import land_pictures
from perennial.datasets.pictures import put_picture
from perennial.datasets.placed import placed_window
from perennial.datasets.snapshot import snapshot
from perennial.errors import DataError
from perennial.spec import ModelSpec
from perennial.store import Store, memory_store
from tests.support.pictures import blotches, class_folders, image_spec, pet_bytes, picture_bytes

PATIENTS = {"size": 16, "group_pattern": r"^(p\d+)-"}


def files(store: Store, spec: ModelSpec, manifest: DatasetManifest, split: SplitName) -> set[str]:
    return set(load_split(store, spec, manifest, split).table.column("file").to_pylist())


def patients(folder: Path, numbers: range, start: int) -> Path:
    """Two pictures of each patient, named for them; cats and dogs by turns."""
    for number in numbers:
        kind = ("cat", "dog")[number % 2]
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for seed in (start + 2 * number, start + 2 * number + 1):
            (folder / kind / f"p{number}-{seed}.png").write_bytes(pet_bytes(seed, kind))
    return folder


def names(found: set[str]) -> set[str]:
    return {Path(file).name.split("-")[0] for file in found}


def test_a_patient_is_never_on_both_sides_over_several_landings(tmp_path: Path) -> None:
    spec, store = image_spec(image=PATIENTS), memory_store()
    land_pictures(store, spec, patients(tmp_path / "one", range(40), 0))
    first = snapshot(store, spec).manifest
    held, trained = files(store, spec, first, "holdout"), files(store, spec, first, "train")
    assert len(held) + len(trained) == 80
    assert not names(held) & names(trained)
    land_pictures(store, spec, patients(tmp_path / "two", range(30, 50), 1000))
    second = snapshot(store, spec).manifest
    assert second.parent == first.id
    assert files(store, spec, second, "holdout") == held
    again = files(store, spec, second, "train") | files(store, spec, second, "window")
    assert trained < again
    assert not names(held) & names(again)
    assert names(again) == {f"p{number}" for number in range(50)} - names(held)
    back = 2 * len({f"p{number}" for number in range(30, 40)} & names(held))
    assert second.held_back == back > 0


def test_copies_of_holdout_pictures_that_land_later_are_held_back(tmp_path: Path) -> None:
    spec, store = image_spec(), memory_store()
    land_pictures(store, spec, class_folders(tmp_path / "one", {"cat": 30, "dog": 30}))
    first = snapshot(store, spec).manifest
    held = files(store, spec, first, "holdout")
    for kind in ("cat", "dog"):
        (tmp_path / "two" / kind).mkdir(parents=True)
        for seed in range(30):
            image = Image.fromarray(blotches(seed, kind)).resize((200, 150), Image.Resampling.BICUBIC)
            (tmp_path / "two" / kind / f"{seed:05d}.png").write_bytes(picture_bytes(image, "JPEG", quality=70))
    assert land_pictures(store, spec, tmp_path / "two").pictures == 60
    second = snapshot(store, spec).manifest
    assert second.held_back == len(held)
    late = load_split(store, spec, second, "train").table.to_pylist()
    assert not held & {row["file"] for row in late}
    assert second.rows("train") == first.rows("train") + 60 - len(held)
    assert second.duplicates == 60 - len(held)


def saved_again(data: bytes) -> bytes:
    """A near copy of a picture: larger, and a JPEG."""
    with Image.open(io.BytesIO(data)) as image:
        return picture_bytes(image.convert("RGB").resize((80, 60)), "JPEG", quality=85)


def test_what_turns_out_to_belong_to_the_holdout_leaves_training(tmp_path: Path) -> None:
    """The same picture lands again, and now its name says whose it is: a patient of the holdout."""
    spec, store = image_spec(image=PATIENTS), memory_store()
    folder = patients(tmp_path / "one", range(20), 0)
    for seed in range(500, 505):
        (folder / "cat" / f"nobody-{seed}.png").write_bytes(pet_bytes(seed, "cat"))
    land_pictures(store, spec, folder)
    first = snapshot(store, spec).manifest
    held, trained = files(store, spec, first, "holdout"), files(store, spec, first, "train")
    whose = min(name for name in names(held) if name != "nobody")
    stray = min(file for file in trained if "nobody" in file)
    (tmp_path / "two" / "cat").mkdir(parents=True)
    (tmp_path / "two" / "cat" / f"{whose}-9.jpg").write_bytes(saved_again((folder / stray).read_bytes()))
    land_pictures(store, spec, tmp_path / "two")
    second = snapshot(store, spec).manifest
    assert files(store, spec, second, "holdout") == held
    assert files(store, spec, second, "train") == trained - {stray}
    assert second.held_back == 2


def test_what_was_held_back_still_ties_what_lands_after_it_to_the_holdout(tmp_path: Path) -> None:
    spec, store = image_spec(image=PATIENTS), memory_store()
    land_pictures(store, spec, patients(tmp_path / "one", range(20), 0))
    first = snapshot(store, spec).manifest
    whose = min(names(files(store, spec, first, "holdout")))
    for number, name in enumerate((f"{whose}-9", "nobody-9")):
        (tmp_path / str(number) / "cat").mkdir(parents=True)
        data = pet_bytes(900, "cat")
        (tmp_path / str(number) / "cat" / f"{name}.jpg").write_bytes(saved_again(data) if number else data)
        land_pictures(store, spec, tmp_path / str(number))
        version = snapshot(store, spec).manifest
        assert version.held_back == number + 1
        assert files(store, spec, version, "train") == files(store, spec, first, "train")
    class_folders(tmp_path / "more", {"dog": 2}, start=3000)
    land_pictures(store, spec, tmp_path / "more")
    last = snapshot(store, spec).manifest
    assert (last.held_back, last.rows("train")) == (2, first.rows("train") + 2)


def test_copies_in_one_landing_stay_together_also_under_two_labels(tmp_path: Path) -> None:
    spec, store = image_spec(holdout={"fraction": 0.5}), memory_store()
    folder = class_folders(tmp_path / "one", {"cat": 20, "dog": 20})
    for seed in range(20):
        copy = Image.fromarray(blotches(seed, "cat")).resize((64, 48))
        (folder / "dog" / f"copy-{seed:05d}.jpg").write_bytes(picture_bytes(copy, "JPEG", quality=80))
    land_pictures(store, spec, folder)
    manifest = snapshot(store, spec).manifest
    for split in ("train", "holdout"):
        found = files(store, spec, manifest, split)
        cats = {file.removeprefix("cat/")[:5] for file in found if file.startswith("cat/")}
        assert cats == {file.removeprefix("dog/copy-")[:5] for file in found if "copy-" in file}
        assert cats
    assert manifest.duplicates == 0, "of another label it is no repeated row"


def test_rows_whose_picture_is_gone_or_damaged_or_that_lack_a_label_are_refused_with_their_reasons(
    tmp_path: Path,
) -> None:
    raw = MemoryStore()
    spec, store = image_spec(), Store(raw)
    land_pictures(store, spec, class_folders(tmp_path / "one", {"cat": 20, "dog": 20}))
    landed = {row["file"]: row["image"] for row in rows_of(store, spec)}
    raw.delete(keys.image("pets", landed["cat/00003.png"]))
    raw.put(keys.image("pets", landed["dog/00004.png"]), b"other bytes")
    narrow = image_spec(target={"column": "label", "positive": "dog"}, image={"size": 16})
    manifest = snapshot(store, narrow).manifest
    assert manifest.refused == 2
    (quarantine,) = [entry.key for entry in store.list(keys.quarantines("pets"))]
    told = [json.loads(text) for text in store.get(quarantine).data.splitlines()]
    assert [(one["row"], one["column"], one["values"]["file"]) for one in told] == [
        (4, "image", "cat/00003.png"),
        (25, "image", "dog/00004.png"),
    ]
    assert told[0]["reason"].startswith("has no picture: pets/images/sha256/")
    assert told[0]["reason"].endswith("is gone.")
    assert told[1]["reason"].endswith("does not match its name.")


def rows_of(store: Store, spec: ModelSpec) -> list[dict[str, str]]:
    from perennial.datasets.landing import list_landed
    from perennial.datasets.reading import read_file

    (one,) = list_landed(store, spec)
    raw = read_file(one.key, store.get(one.key).data)
    columns = {name: raw.columns[name].to_pylist() for name in ("file", "image")}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def test_a_listing_of_which_all_rows_are_refused_is_an_error_unless_it_was_gathered(tmp_path: Path) -> None:
    spec, store = image_spec(), memory_store()
    land_pictures(store, spec, class_folders(tmp_path / "one", {"cat": 20, "dog": 20}))
    store.put_new(keys.landing("pets", "cat/words.png"), b"words")
    from perennial.datasets.gather import gather

    gather(store, spec)
    assert snapshot(store, spec).manifest.refused == 1
    birds = image_spec(target={"column": "label", "classes": ["hen", "owl"]})
    with pytest.raises(DataError, match="every one of its 40 rows is refused: 'label' is not one of the declared"):
        snapshot(store, birds)


def feed(store: Store, spec: ModelSpec, pictures: list[tuple[bytes, str]], number: int = 1) -> None:
    """Put what was asked about and told as a file of feedback: digest and truth are all it knows."""
    schema = arrow_schema(spec)
    said = {
        "image": [put_picture(store, spec.name, data) for data, _ in pictures],
        "label": [truth for _, truth in pictures],
    }
    nothing = [None] * len(pictures)
    table = pa.table([pa.array(said.get(field.name, nothing), field.type) for field in schema], schema=schema)
    ids = pa.chunked_array([[f"id-{number}-{place}" for place in range(len(pictures))]])
    data = collected_bytes(spec, table, ids, "run", datetime(2026, 11, 21, tzinfo=UTC))
    store.put_new(keys.collected(spec.name, "feedback", number), data)


def test_feedback_is_measured_anew_and_copies_of_the_holdout_among_it_are_held_back(tmp_path: Path) -> None:
    spec, store = image_spec(), memory_store()
    folder = class_folders(tmp_path / "one", {"cat": 30, "dog": 30})
    land_pictures(store, spec, folder)
    first = snapshot(store, spec).manifest
    known = sorted(files(store, spec, first, "holdout"))[0]
    asked = [(pet_bytes(500 + seed, kind, "JPEG"), kind) for seed in range(100) for kind in ("cat", "dog")]
    feed(store, spec, [*asked, ((folder / known).read_bytes(), "dog")])
    second = snapshot(store, spec).manifest
    assert (second.held_back, second.refused) == (1, 0)
    window = load_split(store, spec, second, "window")
    assert second.window is not None
    assert not second.window.trusted
    assert window.table.num_rows >= 20
    row = window.table.slice(0, 1).to_pylist()[0]
    assert (row["width"], row["height"], len(row["fingerprint"]), row["group"], row["file"]) == (
        32,
        24,
        256,
        None,
        None,
    )
    assert window.pictures is not None
    assert np.array_equal(window.x[:, :2], np.tile([32.0, 24.0], (len(window.x), 1)))
    regrouped = image_spec(image=PATIENTS)
    placed = placed_window(store, regrouped, second, second.classes)
    assert placed is not None
    assert placed.rows.table.column("image").to_pylist() == window.table.column("image").to_pylist()
    third = snapshot(store, regrouped).manifest
    assert third.schema_digest != second.schema_digest
    assert files(store, regrouped, third, "holdout") == files(store, spec, first, "holdout")


def test_the_same_landing_gives_the_same_version_anywhere_whatever_the_size_of_the_frame(tmp_path: Path) -> None:
    folder = patients(tmp_path / "one", range(30), 0)
    ids = set()
    for size in (16, 64):
        spec, store = image_spec(image={**PATIENTS, "size": size, "color": "grey"}), memory_store()
        land_pictures(store, spec, folder)
        ids.add(snapshot(store, spec).manifest.id)
        assert not snapshot(store, spec).new
    assert len(ids) == 1


@pytest.mark.parametrize(
    ("pattern", "file", "group"),
    [
        (r"^(p\d+)-", "dog/p12-3.png", "p12"),
        (r"p\d+", "dog/x-p12-3.png", "p12"),
        (r"^(p\d+)-", "dog/q.png", None),
        (r"^(p\d+)?-", "dog/-3.png", None),
        (r"^(p\d+)-", "https://example.org/a/p7-1.png?size=2", "p7"),
    ],
)
def test_a_group_is_what_the_pattern_finds_in_the_name_of_a_file(pattern: str, file: str, group: str | None) -> None:
    from perennial.datasets.picture_rows import group_of

    spec = image_spec(image={"size": 16, "group_pattern": pattern})
    assert group_of(spec, file, None) == group
    assert group_of(spec, file, "said") == "said"
    assert group_of(spec, None, None) is None
