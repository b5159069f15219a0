"""``perennial predict`` of a picture's file: the same answer as the API's, and where the model looked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from perennial.cli import app
from perennial.cli import predict as command
from perennial.errors import DataError
from perennial.images.decode import decode
from perennial.images.pixels import framed
from perennial.store import Store, memory_store
from tests.support.models import IRIS_RECORD, build, promote
from tests.support.picture_models import BuiltPictures, answer, build_pictures
from tests.support.pictures import pet_bytes

PICTURE = pet_bytes(1, format="JPEG")


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("PERENNIAL_BUCKET", "memory")
    bucket = memory_store()
    monkeypatch.setattr(command, "open_store", lambda settings: bucket)
    promote(bucket, build())
    return bucket


@pytest.fixture
def built(store: Store) -> BuiltPictures:
    built = build_pictures(cell=(slice(4, 6), slice(10, 12)))
    promote(store, built)
    return built


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "cat.jpg"
    path.write_bytes(PICTURE)
    return path


def run(*arguments: str | Path, data: bytes | None = None) -> Result:
    return CliRunner().invoke(app, ["predict", *map(str, arguments)], input=data)


def test_a_picture_is_read_by_its_name_by_at_and_from_standard_input(built: BuiltPictures, picture: Path) -> None:
    expected = answer(built, framed(decode(PICTURE), built.frame)).tolist()
    for result in (run("pets", picture, "--json"), run("pets", f"@{picture}", "--json"),
                   run("pets", "-", "--json", data=PICTURE)):  # fmt: skip
        assert result.exit_code == 0, result.output
        found = json.loads(result.stdout)
        assert list(found) == ["prediction", "probabilities", "version"]
        assert list(found["probabilities"].values()) == pytest.approx(expected, abs=1e-12)


def test_where_the_model_looked_is_drawn(built: BuiltPictures, picture: Path) -> None:
    found = json.loads(run("pets", picture, "--explain", "--json").stdout)
    drops = found["explanation"]["drops"]
    touched = [(row, column) for row in range(8) for column in range(8) if drops[row][column]]
    assert touched == [(2, 5)]
    lines = run("pets", picture, "--explain").stdout.splitlines()
    assert lines[0] == found["prediction"] and lines[1].endswith(max(found["probabilities"], key=lines[0].__eq__))
    grid = [line for line in lines if line.endswith("|")]
    assert len(grid) == 8 and {len(line) for line in grid} == {2 + 1 + 16 + 1}
    marks = [line.strip(" |") for line in grid]
    assert marks == ["", "", "██" if drops[2][5] > 0 else "", "", "", "", "", ""]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("missing.png", "missing.png: cannot be read (No such file or directory)"),
        ('{"image": "AAAA"}', "cannot be read"),
        ("x" * 5_000, "cannot be read"),
        ("a\0b", "no file can be called so"),
    ],
)
def test_what_is_no_file_is_told(built: BuiltPictures, given: str, says: str) -> None:
    result = run("pets", given)
    assert isinstance(result.exception, DataError) and says in str(result.exception)


def test_what_is_no_picture_is_told(built: BuiltPictures, tmp_path: Path) -> None:
    path = tmp_path / "drawing.svg"
    path.write_text("<svg/>")
    result = run("pets", path)
    assert isinstance(result.exception, DataError)
    assert str(result.exception).startswith(f"{path}: The picture is markup such as SVG")


def test_a_table_is_not_explained(store: Store) -> None:
    result = run("iris", json.dumps(IRIS_RECORD), "--explain")
    assert isinstance(result.exception, DataError) and "models of pictures" in str(result.exception)
    assert run("iris", json.dumps(IRIS_RECORD)).exit_code == 0
