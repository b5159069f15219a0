"""``perennial score`` of pictures: folders, zips, listings and single ones, as their user sees it."""

from __future__ import annotations

import csv
import json
import zipfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from perennial.cli import app, registry, score
from perennial.errors import DataError, PerennialError
from perennial.images.record import read_record
from perennial.serving.predictor import Predictor
from perennial.store import Store, memory_store
from tests.support import models
from tests.support.picture_models import build_pictures
from tests.support.pictures import class_folders, picture_bytes

CHAMPION = build_pictures()


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Store:
    """A bucket with a model of pictures and one of tables; the user stands in a folder with pictures in ``pets``."""
    bucket = memory_store()
    models.promote(bucket, CHAMPION)
    models.promote(bucket, models.build())
    monkeypatch.setenv("PERENNIAL_BUCKET", "memory")
    for module in (score, registry):
        monkeypatch.setattr(module, "open_store", lambda settings: bucket)
    monkeypatch.chdir(tmp_path)
    class_folders(Path("pets"), {"cat": 3, "dog": 2})
    return bucket


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["score", *arguments])


def refusal(*arguments: str) -> PerennialError:
    found = run(*arguments).exception
    assert isinstance(found, PerennialError)
    return found


def rows(name: str = "out.csv") -> list[dict[str, str]]:
    return list(csv.DictReader(Path(name).read_text().splitlines()))


NAMES = ["cat/00000.png", "cat/00001.png", "cat/00002.png", "dog/00000.png", "dog/00001.png"]


def assert_answers(found: list[dict[str, str]]) -> None:
    predictor = Predictor(CHAMPION.manifest, CHAMPION.onnx)
    for row in found:
        (expected,) = predictor.predict([read_record((Path("pets") / row["file"]).read_bytes())])
        assert expected.probabilities is not None
        assert row["prediction"] == expected.prediction
        assert float(row["probability_dog"]) == expected.probabilities["dog"]


def test_a_folder(store: Store) -> None:
    Path("pets/notes.txt").write_text("of pets")
    said = run("pets", "pets", "out.csv")
    assert said.exit_code == 0, said.output
    assert f"Scored 5 of 6 rows by pets {CHAMPION.version}" in said.stdout
    assert "1: 'file' is none of JPEG, PNG" in said.stdout
    assert [row["file"] for row in rows()] == NAMES
    assert_answers(rows())
    (refused,) = rows("out.quarantine.csv")
    assert (refused["row"], json.loads(refused["record"])) == ("6", {"file": "notes.txt"})


def test_results_in_the_folder_itself_are_no_pictures_of_the_next_run(store: Store) -> None:
    Path("pets/notes.txt").write_text("of pets")
    told = [json.loads(run("pets", "pets", "pets/out.csv", "--json").stdout) for _ in range(2)]
    assert told[0] == told[1] and told[0]["rows"] == 6
    assert [row["file"] for row in rows("pets/out.csv")] == NAMES


def test_a_zip_a_listing_and_a_picture_give_the_same(store: Store) -> None:
    with zipfile.ZipFile("pets.zip", "w") as file:
        for name in NAMES:
            file.write(Path("pets") / name, name)
    Path("pets/list.csv").write_text("path,who\n" + "".join(f"{name},ada\n" for name in NAMES))
    assert run("pets", "pets.zip", "zip.csv").exit_code == 0
    assert run("pets", "pets/list.csv", "listing.csv").exit_code == 0
    assert run("pets", "pets", "folder.csv").exit_code == 0
    assert rows("zip.csv") == rows("listing.csv") == [row for row in rows("folder.csv") if row["file"] != "list.csv"]
    assert run("pets", f"pets/{NAMES[3]}", "one.csv").exit_code == 0
    (one,) = rows("one.csv")
    assert one["file"] == "00000.png" and one["probability_dog"] == rows("zip.csv")[3]["probability_dog"]


def test_what_is_kept_and_parquet(store: Store) -> None:
    Path("pets/list.csv").write_text(f"path,who\n{NAMES[0]},ada\n")
    assert run("pets", "pets/list.csv", "out.parquet", "--keep", "who,sharpness").exit_code == 0
    (row,) = pq.read_table("out.parquet").to_pylist()
    record = read_record((Path("pets") / NAMES[0]).read_bytes())
    assert (row["file"], row["who"], row["sharpness"]) == (NAMES[0], "ada", record.sharpness)


def test_nothing_that_could_be_scored(store: Store) -> None:
    Path("a.png").write_bytes(picture_bytes()[:60])
    said = run("pets", "a.png", "out.csv")
    assert said.exit_code == DataError.exit_code and "no row that could be scored" in said.stderr
    assert len(rows("out.quarantine.csv")) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("iris", "pets", "out.csv"), "is a directory"),
        (("iris", "pets/cat/00000.png", "out.csv"), "is a picture, and this model takes tables"),
        (("pets", "iris.csv", "out.csv"), "no column that says where pictures are"),
        (("pets", "pets", "out.csv", "--keep", "who"), "column 'who'"),
    ],
)
def test_one_kind_for_the_other(store: Store, arguments: tuple[str, ...], words: str) -> None:
    Path("iris.csv").write_text("sepal_length\n1\n")
    assert words in str(refusal(*arguments))
    assert not Path("out.csv").exists()
