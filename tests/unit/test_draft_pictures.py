"""``perennial init`` and ``perennial land`` for folders of pictures, as they are called."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from perennial.cli import app, data
from perennial.datasets.draft_pictures import draft_picture_spec
from perennial.datasets.snapshot import snapshot
from perennial.errors import DataError, SpecError
from perennial.spec import ModelSpec, load_spec
from perennial.spec_source import parse_spec
from perennial.store import Store, memory_store
from tests.support.datasets import people_csv
from tests.support.pictures import class_folders, digit_folders, picture_bytes


def drafted(folder: Path) -> ModelSpec:
    return parse_spec(draft_picture_spec(folder, "label", "pets").text, "draft")


def test_a_draft_names_the_classes_and_what_the_pictures_are_like(tmp_path: Path) -> None:
    spec = drafted(class_folders(tmp_path, {"cat": 30, "dog": 12}, size=(70, 50)))
    assert (spec.task, spec.input, spec.metric) == ("binary", "image", "roc_auc")
    assert (spec.target.classes, spec.target.positive) == (("cat", "dog"), "dog")
    assert spec.image is not None
    assert (spec.image.size, spec.image.color, spec.image.fit) == (48, "rgb", "stretch")
    assert {one.features for one in spec.candidates.values()} == {"hog", "pixels"}


def test_grey_pictures_of_several_shapes_and_ten_classes(tmp_path: Path) -> None:
    folder = digit_folders(tmp_path, 12, scale=4)
    (folder / "0" / "0000.png").write_bytes(picture_bytes(np.zeros((32, 64), np.uint8)))
    spec = drafted(folder)
    assert spec.task == "multiclass"
    assert spec.target.classes == tuple("0123456789")
    assert spec.image is not None
    assert (spec.image.size, spec.image.color, spec.image.fit) == (32, "grey", "crop")


def test_folders_that_divide_pictures_are_no_classes(tmp_path: Path) -> None:
    for start, name in enumerate(("train", "Test", "val")):
        class_folders(tmp_path / name, {"cat": 5, "dog": 6}, start=10 * start)
    draft = draft_picture_spec(tmp_path, "label", "pets")
    assert parse_spec(draft.text, "draft").target.classes == ("dog", "cat")
    assert draft.warnings == ()


def test_what_its_owner_should_look_at(tmp_path: Path) -> None:
    folder = class_folders(tmp_path, {"cat": 12, "dog": 3})
    (folder / "cat" / "00000.png").write_bytes(b"damaged")
    (folder / "stray.png").write_bytes(b"x")
    few, unreadable, stray = draft_picture_spec(folder, "label", "pets").warnings
    assert few == "Fewer than ten pictures are of 'dog': neither side learns much."
    assert unreadable == "1 of those looked at cannot be read, the first is cat/00000.png."
    assert stray.startswith("1 files lie in no class folder")


def test_what_makes_no_spec(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no class folder with pictures"):
        draft_picture_spec(tmp_path, "label", "pets")
    class_folders(tmp_path, {"cat": 2})
    with pytest.raises(DataError, match="holds 1 class folders"):
        draft_picture_spec(tmp_path, "label", "pets")
    with pytest.raises(SpecError, match="cannot name a model"):
        draft_picture_spec(tmp_path, "label", "My Pets")
    (tmp_path / "dog").mkdir()
    for path in ("cat/00000.png", "cat/00001.png", "dog/1.png"):
        (tmp_path / path).write_bytes(b"words")
    with pytest.raises(DataError, match="holds no picture that can be read"):
        draft_picture_spec(tmp_path, "label", "pets")


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    store = memory_store()
    monkeypatch.setenv("PERENNIAL_BUCKET", "data")
    monkeypatch.setattr(data, "open_store", lambda settings: store)
    return store


def test_from_a_folder_to_a_dataset_by_the_command_line(tmp_path: Path, store: Store) -> None:
    folder = class_folders(tmp_path / "pets", {"cat": 30, "dog": 30})
    for number in range(25):
        (folder / "cat" / f"x{number:02d}.txt").write_text("words")
    spec, list_of_failures = tmp_path / "model.yaml", tmp_path / "failures.csv"
    run = CliRunner()
    made = run.invoke(app, ["init", str(folder), "--target", "kind", "--name", "pets", "-o", str(spec)])
    assert made.exit_code == 0, made.output
    landed = run.invoke(app, ["land", str(spec), str(folder), "--failures", str(list_of_failures)])
    assert landed.exit_code == 0, landed.output
    assert "(60 pictures, 0 known before, 25 failed)" in landed.stdout
    assert "failed: cat/x00.txt: is none of JPEG" in landed.stderr
    assert f"and 5 more; all are in {list_of_failures}" in landed.stderr
    with list_of_failures.open(newline="") as lines:
        assert [row["file"] for row in csv.DictReader(lines)] == [f"cat/x{number:02d}.txt" for number in range(25)]
    again = run.invoke(app, ["land", str(spec), str(folder), "--json"])
    (told,) = json.loads(again.stdout)
    assert (told["new"], told["pictures"], told["known"], len(told["failures"])) == (False, 0, 60, 25)
    assert snapshot(store, load_spec(spec)).manifest.rows() == 60


def test_pictures_have_no_id_and_no_time(tmp_path: Path) -> None:
    folder = class_folders(tmp_path / "pets", {"cat": 3, "dog": 3})
    spec = tmp_path / "m.yaml"
    told = CliRunner().invoke(app, ["init", str(folder), "--target", "k", "--name", "p", "--id", "x", "-o", str(spec)])
    assert isinstance(told.exception, SpecError)


def test_what_is_told_of_a_landed_table_holds_nothing_of_pictures(tmp_path: Path, store: Store) -> None:
    (tmp_path / "people.csv").write_bytes(people_csv(200))
    spec = tmp_path / "model.yaml"
    run = CliRunner()
    run.invoke(app, ["init", str(tmp_path / "people.csv"), "--target", "ill", "--name", "people", "-o", str(spec)])
    landed = run.invoke(app, ["land", str(spec), str(tmp_path / "people.csv"), "--json"])
    assert landed.exit_code == 0, landed.output
    assert set(json.loads(landed.stdout)[0]) == {"key", "digest", "size", "new"}
    again = run.invoke(app, ["land", str(spec), str(tmp_path / "people.csv")])
    assert again.stdout == "already landed: people/landing/people.csv\n"
