"""``perennial score`` as its user sees it: what it writes, what it says, and what it leaves behind."""

from __future__ import annotations

import csv
import gzip
import json
import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from perennial.cli import app, registry, score
from perennial.errors import DataError, NotFoundError, PerennialError, SettingsError
from perennial.scoring.results import ScoredBlock
from perennial.scoring.stream import score_units
from perennial.serving.load import load
from perennial.store import Store, memory_store
from tests.support.models import MIXED, Built, build, make_spec, promote, register

HEADER = "who," + ",".join(MIXED) + "\n"
FITS = "ada,33,8.97,5-6 hours,Pune,2026-11-21\n"
TOO_YOUNG = "bob,9,,7-8 hours,Goa,\n"


@pytest.fixture(scope="module")
def built() -> Built:
    return build(make_spec("mixed", "binary", MIXED).model_copy(update={"id": "who"}))


@pytest.fixture
def store(built: Built, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Store:
    """A bucket where the model mixed has a champion and the model fresh has none; the user stands in a folder."""
    bucket = memory_store()
    promote(bucket, built)
    register(bucket, build(make_spec("fresh", "binary", MIXED)))
    monkeypatch.setenv("PERENNIAL_BUCKET", "memory")
    for module in (score, registry):
        monkeypatch.setattr(module, "open_store", lambda settings: bucket)
    monkeypatch.chdir(tmp_path)
    return bucket


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["score", *arguments])


def refusal(*arguments: str) -> PerennialError:
    found = run(*arguments).exception
    assert isinstance(found, PerennialError)
    return found


def there() -> list[str]:
    return sorted(path.name for path in Path().iterdir())


def test_a_file_comes_back_as_parquet_or_csv_and_the_rest_goes_to_the_quarantine(store: Store, built: Built) -> None:
    Path("in.csv").write_text(HEADER + FITS + TOO_YOUNG + FITS)
    said = run("mixed", "in.csv", "out.parquet")
    assert said.exit_code == 0, said.output
    assert f"Scored 2 of 3 rows by mixed {built.version}" in said.stdout
    assert "1: 'Age' is below the minimum 10" in said.stdout
    rows = pq.read_table("out.parquet").to_pylist()
    model = load(store, "mixed", built.version)
    record = {"Age": 33, "CGPA": 8.97, "Sleep Duration": "5-6 hours", "City": "Pune", "Since": "2026-11-21"}
    one = model.predict([model.schema.validate(record)])[0]
    assert one.probabilities is not None
    assert rows[0] == {
        "row": 1, "who": "ada", "prediction": one.prediction, "probability_0": one.probabilities["0"],
        "probability_1": one.probabilities["1"], "model_version": built.version,
    }  # fmt: skip
    assert [row["row"] for row in rows] == [1, 3]
    [refused] = csv.DictReader(Path("out.quarantine.csv").read_text().splitlines())
    assert (refused["row"], refused["column"], refused["reason"]) == ("2", "Age", "is below the minimum 10")
    assert json.loads(refused["record"])["who"] == "bob"

    assert run("mixed", "in.csv", "out.csv").exit_code == 0
    as_text = list(csv.DictReader(Path("out.csv").read_text().splitlines()))
    assert [float(row["probability_1"]) for row in as_text] == [row["probability_1"] for row in rows]
    assert there() == ["in.csv", "out.csv", "out.parquet", "out.quarantine.csv"]


def test_programs_get_one_json_document(store: Store, built: Built) -> None:
    Path("in.csv").write_text(HEADER.replace("who", "what") + FITS + TOO_YOUNG)
    told = json.loads(run("mixed", "in.csv", "out.parquet", "--json").stdout)
    assert told == {
        "model": "mixed", "version": built.version, "input": "in.csv", "output": "out.parquet", "format": "parquet",
        "rows": 2, "scored": 1, "quarantined": 1, "quarantine": "out.quarantine.csv",
        "warnings": ["Column 'what' is no part of the model, and ignored."],
        "reasons": [{"column": "Age", "reason": "is below the minimum 10", "rows": 1}],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("keep", "columns"), [(" all", ["who", *MIXED, "note"]), ("note, Age", ["who", "note", "Age"]), ("", ["who"])]
)
def test_columns_of_the_input_are_kept_where_asked(store: Store, keep: str, columns: list[str]) -> None:
    Path("in.csv").write_text((HEADER + FITS).replace("Since", "Since,note").replace("2026-11-21", "2026-11-21,=1+1"))
    assert run("mixed", "in.csv", "out.csv", "--keep", keep).exit_code == 0
    [row] = csv.DictReader(Path("out.csv").read_text().splitlines())
    assert list(row)[1 : 1 + len(columns)] == columns
    assert row.get("note", "'=1+1") == "'=1+1"


def test_the_format_may_be_named_and_what_comes_in_is_told_by_its_content(store: Store) -> None:
    Path("in.xls").write_bytes(gzip.compress((HEADER + FITS).replace(",", ";").encode()))
    assert run("mixed", "in.xls", "out.txt", "--format", "parquet").exit_code == 0
    assert pq.read_table("out.txt").num_rows == 1
    assert run("mixed", "in.xls", "out.txt", "--format", "xlsx").exit_code == 2


def test_the_same_rows_are_the_same_answers_whatever_they_are_written_as(store: Store) -> None:
    Path("in.csv").write_text(HEADER + FITS + TOO_YOUNG + FITS.replace("8.97", "").replace("ada", "eve"))
    rows = list(csv.DictReader(Path("in.csv").read_text().splitlines()))
    typed = [
        {**row, "Age": int(row["Age"]), "CGPA": float(row["CGPA"] or "nan"), "Since": row["Since"] or None, "more": [1]}
        for row in rows
    ]
    pq.write_table(pa.Table.from_pylist(typed), "in.parquet")
    Path("in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = []
    for name in ("in.csv", "in.parquet", "in.jsonl"):
        told = json.loads(run("mixed", name, f"{name}.out.parquet", "--json").stdout)
        assert (told["rows"], told["scored"], told["quarantined"]) == (3, 2, 1), name
        assert told["reasons"] == [{"column": "Age", "reason": "is below the minimum 10", "rows": 1}]
        found.append(pq.read_table(f"{name}.out.parquet"))
    assert found[0].equals(found[1]) and found[0].equals(found[2])
    assert found[0].column("who").to_pylist() == ["ada", "eve"]


def test_another_version_than_the_champion_can_be_asked_for(store: Store, built: Built) -> None:
    other = build(built.manifest.spec, seed=1)
    register(store, other)
    Path("in.csv").write_text(HEADER + FITS)
    told = json.loads(run("mixed", "in.csv", "a.csv", "--version", other.version, "--json").stdout)
    assert told["version"] == other.version
    assert isinstance(refusal("mixed", "in.csv", "a.csv", "--version", "nope"), NotFoundError)


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        (["nope", "in.csv", "out.csv"], NotFoundError, "Model nope has no versions. Known models: fresh, mixed."),
        (["fresh", "in.csv", "out.csv"], NotFoundError, "has no champion yet. Name a version by --version: "),
        (["mixed", "absent.csv", "out.csv"], DataError, "absent.csv: cannot be read (no such file or directory)."),
        (["mixed", "s3://data/in.csv", "out.csv"], DataError, "s3://data/in.csv: is no file of this machine. Copy"),
        (["mixed", ".", "out.csv"], DataError, ".: cannot be read (is a directory)."),
        (["mixed", "in.csv", "none/out.csv"], SettingsError, "there is no folder none"),
        (["mixed", "in.csv", "./in.csv"], SettingsError, "would replace in.csv"),
        (["mixed", "in.csv", "out.csv.gz"], SettingsError, "does not say CSV or Parquet"),
        (["mixed", "in.csv", "out.csv", "--quarantine", "in.csv"], SettingsError, "would replace in.csv"),
        (["mixed", "in.csv", "out.csv", "--quarantine", "out.csv"], SettingsError, "would replace out.csv"),
        (["mixed", "pipe", "out.csv"], DataError, "pipe: is a pipe. Save it as a file"),
        (["mixed", "in.csv", "pipe", "--format", "csv"], SettingsError, "pipe cannot be written (it is a device or a"),
        (["mixed", "in.csv", "x" * 255 + ".csv"], SettingsError, "cannot be written (file name too long)"),
        (["mixed", "in.csv", "x" * 245 + ".csv"], SettingsError, "cannot be written (file name too long)"),
        (["mixed", "in.csv", "out.csv", "--keep", "Nota"], DataError, "in.csv, column 'Nota': is to be kept but not"),
        (["mixed", "bad.csv", "out.csv"], DataError, "bad.csv, column 'Age': is in the spec but not in the file."),
        (["mixed", "open.csv", "out.csv"], DataError, "row 2: has a quote that never closes."),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing_behind(
    store: Store, arguments: list[str], kind: type[PerennialError], words: str
) -> None:
    Path("in.csv").write_text(HEADER + FITS + TOO_YOUNG)
    Path("bad.csv").write_text((HEADER + FITS).replace("Age", "age"))
    Path("open.csv").write_text(HEADER + FITS + '"' + FITS)
    os.mkfifo("pipe")
    error = refusal(*arguments)
    assert isinstance(error, kind) and words in str(error) and "\n" not in str(error)
    assert there() == ["bad.csv", "in.csv", "open.csv", "pipe"] and Path("pipe").is_fifo()


def test_a_pipe_that_is_open_already_is_said_to_be_one(store: Store) -> None:
    read, write = os.pipe()
    assert "is a pipe" in str(refusal("mixed", f"/dev/fd/{read}", "out.csv"))
    assert "it is a device or a pipe" in str(refusal("mixed", "in.csv", f"/dev/fd/{write}", "--format", "csv"))


def test_a_result_goes_where_a_link_leads(store: Store) -> None:
    Path("in.csv").write_text(HEADER + FITS)
    Path("results").mkdir()
    Path("latest.csv").symlink_to("results/today.csv")
    for _ in range(2):
        assert run("mixed", "in.csv", "latest.csv").exit_code == 0
    assert Path("latest.csv").is_symlink() and Path("results/today.csv").read_text().startswith("row,who,")
    assert [path.name for path in Path("results").iterdir()] == ["today.csv"]
    Path("latest.csv").unlink()
    Path("latest.csv").symlink_to("in.csv")
    assert "would replace in.csv" in str(refusal("mixed", "in.csv", "latest.csv"))


def test_a_quarantine_of_an_earlier_run_does_not_stay_beside_a_result_without_one(store: Store) -> None:
    Path("in.csv").write_text(HEADER + FITS + TOO_YOUNG)
    run("mixed", "in.csv", "out.csv")
    assert Path("out.quarantine.csv").exists()
    Path("in.csv").write_text(HEADER + FITS)
    assert "quarantine" not in run("mixed", "in.csv", "out.csv").stdout
    assert there() == ["in.csv", "out.csv"]


def test_a_file_of_which_no_row_fits_is_a_failure_that_shows_why(store: Store) -> None:
    Path("in.csv").write_text(HEADER + TOO_YOUNG * 3)
    said = run("mixed", "in.csv", "out.csv")
    assert said.exit_code == 4
    assert "holds no row that could be scored. See out.quarantine.csv" in said.stderr
    assert Path("out.quarantine.csv").read_text().count("minimum") == 3


def test_what_is_not_shown_of_the_reasons_is_counted(store: Store) -> None:
    kinds = tuple(TOO_YOUNG.replace("9", age) for age in ("9", "999", "x", "inf"))
    Path("in.csv").write_text(HEADER + FITS + kinds[0])
    assert "out.quarantine.csv: 1 row that does not fit\n" in run("mixed", "in.csv", "out.csv").stdout
    Path("in.csv").write_text(HEADER + FITS + "".join(kinds) + kinds[0])
    said = run("mixed", "in.csv", "out.csv").stdout
    assert "out.quarantine.csv: 5 rows that do not fit\n    2: 'Age' is below the minimum 10\n" in said
    assert said.endswith("    1: for another reason\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_who_ends_it_finds_nothing_half_written(
    store: Store, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    Path("in.csv").write_text(HEADER + FITS + TOO_YOUNG)
    Path("out.csv").write_text("what was there before")

    def ended(*given: Any, **more: Any) -> Iterator[ScoredBlock]:
        yield from score_units(*given, **more)
        assert len([name for name in there() if name.endswith(".part")]) == 2
        os.kill(os.getpid(), number)

    monkeypatch.setattr("perennial.scoring.files.score_units", ended)
    handled = signal.getsignal(number)  # whoever started the tests may have it ignored
    signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    try:
        said = run("mixed", "in.csv", "out.csv")
    finally:
        signal.signal(number, handled)
    assert said.exit_code == 130 and "Stopped; nothing was written." in said.stderr
    assert there() == ["in.csv", "out.csv"] and Path("out.csv").read_text() == "what was there before"


def test_a_disk_that_takes_no_more_is_said_and_nothing_stays(store: Store) -> None:
    Path("in.csv").write_text(HEADER + FITS * 5000)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        error = refusal("mixed", "in.csv", "out.csv", "--keep", "all")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert isinstance(error, SettingsError) and "out.csv could not be written (file too large)" in str(error)
    assert there() == ["in.csv"]


@pytest.mark.parametrize("out", ["out.csv", "out.parquet"])
@pytest.mark.parametrize(("fits", "full"), [(True, "out."), (False, "refused.csv")])
def test_the_file_that_the_disk_does_not_take_is_named(store: Store, out: str, fits: bool, full: str) -> None:
    rows = "".join(f"{os.urandom(8).hex()}{FITS if fits else TOO_YOUNG}" for _ in range(20_000))
    Path("in.csv").write_text(HEADER + rows)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        error = refusal("mixed", "in.csv", out, "--quarantine", "refused.csv")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert isinstance(error, SettingsError) and str(error).startswith(full)
    assert "could not be written (file too large)" in str(error) and there() == ["in.csv"]
