"""Pictures through the pipeline that scores tables: zips, listings and single ones, whole and in parts."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from perennial import keys
from perennial.datasets.pictures import put_picture
from perennial.errors import DataError, OutOfTime
from perennial.images.decode import MAX_BYTES
from perennial.images.record import read_record
from perennial.scoring.batch.bench import Shift
from perennial.scoring.dialect import sniff
from perennial.scoring.files import score_file
from perennial.scoring.pictures import picture_units
from perennial.scoring.pictures.archive import rows_of
from perennial.scoring.pictures.folder import folder_source
from perennial.scoring.pictures.places import BucketPlaces, LocalPlaces
from perennial.scoring.pictures.rows import Unusable
from perennial.scoring.plan import plan_parts
from perennial.scoring.scorer import Scorer
from perennial.scoring.source import BytesSource
from perennial.scoring.writing import CsvWriter, QuarantineWriter
from perennial.serving.batch_job import SPARK_BYTES, BatchCounts, BatchInput, BatchOptions, BatchRequest, job_of
from perennial.serving.predictor import Predictor
from perennial.store import memory_store
from tests.support import models
from tests.support.batch_world import BUCKET, START, World, created
from tests.support.picture_models import build_pictures
from tests.support.pictures import class_folders, image_spec, pet_bytes, picture_bytes

CHAMPION = build_pictures()
PREDICTOR = Predictor(CHAMPION.manifest, CHAMPION.onnx)
PETS = {f"{kind}s/{seed}.{format.lower()}": pet_bytes(seed, kind, format, size)
        for seed, (kind, format, size) in enumerate(
            [("cat", "PNG", (32, 24)), ("dog", "JPEG", (24, 40)), ("cat", "WEBP", (16, 16)), ("dog", "BMP", (9, 30)),
             ("dog", "GIF", (31, 17)), ("cat", "TIFF", (64, 64))] * 7)}  # fmt: skip
"""Pictures of all formats and shapes by name."""


def zipped(files: Mapping[str, bytes]) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in files.items():
            file.writestr(name, data)
    return sink.getvalue()


@pytest.fixture
def world() -> World:
    world = World()
    models.promote(world.store, CHAMPION)
    return world


def table(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode())))


def scored(world: World, work: str) -> list[dict[str, str]]:
    result = world.result("pets", work)
    assert result.state == "done" and result.scored is not None, result.reason
    return table(world.data(result.scored))


def refused(world: World, work: str) -> list[tuple[str, str, str]]:
    """Row, file and reason of each picture that was not scored."""
    result = world.result("pets", work)
    if result.quarantined is None:
        return []
    rows = table(world.data(result.quarantined))
    assert {row["column"] for row in rows} == {"file"}
    return [(row["row"], json.loads(row["record"])["file"], row["reason"]) for row in rows]


def failure(world: World, name: str, data: bytes) -> str:
    work = world.drop("pets", name, data)
    world.run()
    result = world.result("pets", work)
    assert result.state == "failed" and result.reason is not None and result.counts == BatchCounts()
    return result.reason


def assert_answers(rows: list[dict[str, str]], pictures: Mapping[str, bytes]) -> None:
    """Each row has, to the last bit, what the predictor answers to that picture alone, as the endpoint asks it."""
    assert [row["file"] for row in rows] == list(pictures)
    for row, data in zip(rows, pictures.values(), strict=True):
        (expected,) = PREDICTOR.predict([read_record(data)])
        assert row["prediction"] == expected.prediction and expected.probabilities is not None
        for name, probability in expected.probabilities.items():
            assert float(row[f"probability_{name}"]) == probability
        assert row["model_version"] == CHAMPION.version


class TestZips:
    def test_every_picture_has_the_answer_of_the_endpoint(self, world: World) -> None:
        work = world.drop("pets", "pets.zip", zipped(PETS))
        assert [one.state for one in world.run()] == ["done"]
        rows = scored(world, work)
        assert_answers(rows, PETS)
        assert [int(row["row"]) for row in rows] == list(range(1, len(PETS) + 1))
        result = world.result("pets", work)
        assert result.counts == BatchCounts(rows=len(PETS), scored=len(PETS)) and result.warnings == ()
        assert result.preview.columns[:3] == ("row", "file", "prediction") and len(result.preview.rows) == 10

    def test_what_is_no_picture_is_told_and_stops_no_other(self, world: World) -> None:
        files = {
            "a/1.png": PETS["cats/0.png"],
            "a/2.jpg": PETS["dogs/1.jpeg"][:300],
            "a/readme.txt": b"of pets",
            "a/3.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
            "../../etc/4.png": PETS["cats/0.png"],
            "a/5.png": b"",
            "a/6.png": picture_bytes("white", size=(7001, 7001), mode="L"),
            "a/inner.zip": zipped({"x.png": PETS["cats/0.png"]}),
            "__MACOSX/a/._1.png": b"x",
            "a/7.png": PETS["cats/0.png"],
        }
        work = world.drop("pets", "some.zip", zipped(files))
        world.run()
        assert [row["file"] for row in scored(world, work)] == ["a/1.png", "../../etc/4.png", "a/7.png"]
        found = refused(world, work)
        assert [(row, name) for row, name, _ in found] == [
            ("2", "a/2.jpg"), ("3", "a/readme.txt"), ("4", "a/3.svg"), ("6", "a/5.png"), ("7", "a/6.png"),
            ("8", "a/inner.zip"),
        ]  # fmt: skip
        words = ("cannot be read", "is none of JPEG", "markup", "is empty", "40 million", "archive within the archive")
        assert all(word in reason for word, (_, _, reason) in zip(words, found, strict=True)), found
        assert world.result("pets", work).warnings == (
            "Passed over what systems put there for themselves, such as __MACOSX: 1 of its entries.",
        )

    def test_a_zip_in_parts_equals_the_whole(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        files = {**PETS, "notes.txt": b"?"}
        expected = world.drop("pets", "a.zip", zipped(files))
        world.run()
        monkeypatch.setattr(picture_units, "PART_PICTURES", 10)
        monkeypatch.setattr(picture_units, "UNIT_PICTURES", 4)
        parted = world.drop("pets", "b.zip", zipped(files))
        outcomes = world.run()
        assert [one.state for one in outcomes].count("part") == 5
        whole, joined = world.result("pets", expected), world.result("pets", parted)
        assert whole.counts == joined.counts and whole.preview == joined.preview
        assert whole.scored and joined.scored and whole.quarantined and joined.quarantined
        assert world.data(whole.scored) == world.data(joined.scored)
        assert world.data(whole.quarantined) == world.data(joined.quarantined)

    def test_parts_are_cut_by_pictures_and_by_bytes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(picture_units, "PART_PICTURES", 3)
        source = BytesSource("a.zip", zipped({f"{place}.png": bytes(place * 200) for place in range(8)}))
        sizes = [entry.packed for entry in rows_of(source)]
        dialect = sniff(source, CHAMPION.manifest.spec)
        _, parts = plan_parts(source, dialect, 1 << 20)
        assert [(part.start, part.end, part.first, part.rows) for part in parts] == [
            (0, 3, 0, 3), (3, 6, 3, 3), (6, 8, 6, 2)
        ]  # fmt: skip
        _, parts = plan_parts(source, dialect, max(sizes))
        assert [part.rows for part in parts].count(1) >= 3 and sum(part.rows or 0 for part in parts) == 8

    def test_an_empty_one_and_one_without_pictures(self, world: World) -> None:
        works = [world.drop("pets", "a.zip", zipped({})), world.drop("pets", "b.zip", zipped({"a/.x": b""}))]
        world.run()
        for work in works:
            result = world.result("pets", work)
            assert (result.state, result.counts) == ("done", BatchCounts()) and "It holds no rows." in result.warnings

    def test_names_that_stand_there_twice_are_two_rows(self, world: World) -> None:
        sink = io.BytesIO()
        with zipfile.ZipFile(sink, "w") as file, pytest.warns(UserWarning, match="Duplicate"):
            file.writestr("a.png", PETS["cats/0.png"])
            file.writestr("a.png", PETS["dogs/1.jpeg"])
        work = world.drop("pets", "twice.zip", sink.getvalue())
        world.run()
        assert [(row["file"], row["prediction"]) for row in scored(world, work)] == [("a.png", "cat"), ("a.png", "dog")]

    def test_what_was_measured_can_be_kept_and_parquet_asked_for(self, world: World) -> None:
        spec = image_spec(batch={"keep": ["width", "brightness"], "output": "parquet"})
        models.promote(world.store, build_pictures(spec), op_id="keeps")
        work = world.drop("pets", "a.zip", zipped(PETS))
        world.run()
        output = world.result("pets", work).scored
        assert output is not None
        rows = pq.read_table(io.BytesIO(world.data(output)))
        assert rows.column_names[:4] == ["row", "file", "width", "brightness"]
        records = [read_record(data) for data in PETS.values()]
        assert rows.column("width").to_pylist() == [record.width for record in records]
        assert rows.column("brightness").to_pylist() == [record.brightness for record in records]


class TestListings:
    def bring(self, world: World, folder: str = "pets/batch/waiting/") -> None:
        for name, data in PETS.items():
            world.store.put_new(folder + name, data)

    @pytest.mark.parametrize("kind", ["csv", "csv.gz", "jsonl", "parquet"])
    def test_by_keys(self, world: World, kind: str) -> None:
        self.bring(world)
        names = [f"pets/batch/waiting/{name}" for name in PETS]
        rows = "".join(f"{name};{place}\n" for place, name in enumerate(names))
        sink = io.BytesIO()
        pq.write_table(pa.table({"image": names, "who": range(len(names))}), sink)
        data = {
            "csv": ("file;who\n" + rows).encode(),
            "csv.gz": gzip.compress(("file;who\n" + rows).encode()),
            "jsonl": "".join(json.dumps({"path": name, "n": 1}) + "\n" for name in names).encode(),
            "parquet": sink.getvalue(),
        }[kind]
        work = world.drop("pets", f"list.{kind}", data)
        world.run()
        if kind == "parquet":
            output = world.result("pets", work).scored
            assert output is not None
            assert pq.read_table(io.BytesIO(world.data(output))).column("file").to_pylist() == names
        else:
            assert_answers(scored(world, work), dict(zip(names, PETS.values(), strict=True)))
        assert not refused(world, work)

    def test_in_parts_equals_the_whole(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bring(world)
        lines = ["path,who", *(f"pets/batch/waiting/{name},x" for name in PETS)]
        lines[5:5] = ["nowhere.png,y", '"a,b']  # one that is not there, and one that is no row
        lines[9:9] = ["too,many,fields"]
        data = ("\n".join(lines).replace('"a,b', '"a,b"') + "\n").encode()
        expected = world.drop("pets", "a.csv", data)
        world.run()
        monkeypatch.setattr(picture_units, "PART_PICTURES", 7)
        monkeypatch.setattr(picture_units, "UNIT_PICTURES", 3)
        parted = world.drop("pets", "b.csv", data)
        assert [one.state for one in world.run()].count("part") == 7
        whole, joined = world.result("pets", expected), world.result("pets", parted)
        assert whole.counts == joined.counts == BatchCounts(rows=len(PETS) + 3, scored=len(PETS), quarantined=3)
        assert whole.scored and joined.scored and whole.quarantined and joined.quarantined
        assert world.data(whole.scored) == world.data(joined.scored)
        assert world.data(whole.quarantined) == world.data(joined.quarantined)
        rows = [(row["row"], row["reason"]) for row in table(world.data(whole.quarantined))]
        assert [row for row, _ in rows] == ["5", "6", "9"]
        assert rows[0][1] == "is not there" and "fields" in rows[1][1] and "fields" in rows[2][1]

    def test_where_a_name_leads(self, world: World) -> None:
        picture = PETS["cats/0.png"]
        digest = put_picture(world.store, "pets", picture)
        world.store.put_new("pets/batch/in/mine/beside.png", picture)
        world.messages.clear()
        other = world.buckets.setdefault("lake", type(world.raw)())
        other.put("photos/a b.png", picture)
        names = [digest, "beside.png", "s3://lake/photos/a b.png", f"s3://{BUCKET}/pets/batch/in/mine/beside.png"]
        wrong = {
            "../beside.png": "is no key", "s3://lake": "is no key", "https://example.org/a.png": "address of the web",
            "0" * 64: "is not there", "s3://lake/photos/": "is no key", "s3://a b/c.png": "is no key",
            "s3://../other/c.png": "is no key",
        }  # fmt: skip
        data = "".join(json.dumps({"file": name}) + "\n" for name in [*names, *wrong, None, " "])
        work = world.drop("pets", "mine/list.jsonl", data.encode())
        world.run()
        assert [row["file"] for row in scored(world, work)] == names
        found = refused(world, work)
        assert [name for _, name, _ in found][: len(wrong)] == list(wrong)
        for (_, _, reason), words in zip(found, [*wrong.values(), "is missing", "is missing"], strict=True):
            assert words in reason

    def test_a_picture_is_scored_as_it_was_when_it_was_listed(self, world: World) -> None:
        """One that was replaced since, where no versions are kept, is not there: never another in its place."""
        world.store.put_new("pets/batch/waiting/a.png", PETS["cats/0.png"])
        head = world.store.head("pets/batch/waiting/a.png")
        world.raw.put("pets/batch/waiting/a.png", PETS["dogs/1.jpeg"])
        line = {"file": "pets/batch/waiting/a.png", "version": None, "etag": head.etag, "size": head.size}
        work = world.drop("pets", "list.jsonl", json.dumps(line).encode())
        world.run()
        assert refused(world, work) == [("1", "pets/batch/waiting/a.png", "is not there")]

    def test_who_uploads_through_the_api_names_pictures_by_their_digest_only(self, world: World) -> None:
        """The names of other objects are no key to what they hold."""
        world.store.put_new("pets/batch/in/api/x/secret.png", PETS["cats/0.png"])
        world.messages.clear()
        digest = put_picture(world.store, "pets", PETS["cats/0.png"])
        job = job_of("secret")
        request = BatchRequest(model="pets", name="my.csv", options=BatchOptions(), created=START)
        world.store.put_new(keys.batch_request("pets", job), request.to_bytes())
        names = [digest, "pets/batch/in/api/x/secret.png", f"s3://{BUCKET}/pets/batch/in/api/x/secret.png", "my.csv"]
        world.store.put_new(keys.batch_upload("pets", job, "my.csv"), "\n".join(["file", *names]).encode())
        world.run()
        assert [row["file"] for row in scored(world, job)] == [digest]
        assert [name for _, name, _ in refused(world, job)] == names[1:]
        assert all("is no SHA-256" in reason for *_, reason in refused(world, job))

    def test_the_column_that_the_spec_names(self, world: World) -> None:
        models.promote(world.store, build_pictures(image_spec(image={"size": 16, "column": "photo"})), op_id="named")
        self.bring(world)
        name = "pets/batch/waiting/cats/0.png"
        works = [
            world.drop("pets", f"{column}.csv", f"{column},file\n{name},x\n".encode()) for column in ("photo", "z")
        ]
        world.run()
        assert [row["file"] for row in scored(world, works[0])] == [name]
        assert refused(world, works[1])[0][1:] == ("x", "is not there")

    def test_columns_of_the_listing_are_kept(self, world: World) -> None:
        models.promote(world.store, build_pictures(image_spec(batch={"keep": True})), op_id="keeps all")
        self.bring(world)
        name = "pets/batch/waiting/cats/0.png"
        work = world.drop("pets", "a.csv", f"path,who,width\n{name},=ada,9999\n".encode())
        world.run()
        (row,) = scored(world, work)
        assert (row["path"], row["who"], row["width"]) == (name, "'=ada", "32")

    def test_too_many(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("perennial.scoring.plan.MAX_LISTED", 3)
        assert "names over 3 pictures" in failure(world, "a.csv", b"file\na\nb\nc\nd\n")

    def test_a_large_object_is_not_read(self) -> None:
        store = memory_store()
        store.put_new("pets/large.png", b"x" * (MAX_BYTES + 1))
        places = BucketPlaces(lambda bucket: store, BUCKET, "pets", BUCKET, "pets/batch/in/")
        with pytest.raises(Unusable, match=r"has 20,000,001 bytes, of at most 20,000,000"):
            places.get("pets/large.png", {})


class TestOnePicture:
    @pytest.mark.parametrize("name", list(PETS)[:6])
    def test_it_is_a_file_of_one_row(self, world: World, name: str) -> None:
        work = world.drop("pets", name, PETS[name])
        world.run()
        assert_answers(scored(world, work), {name.rsplit("/", 1)[-1]: PETS[name]})

    def test_a_damaged_one_is_refused(self, world: World) -> None:
        work = world.drop("pets", "a.jpg", PETS["dogs/1.jpeg"][:200])
        world.run()
        assert world.result("pets", work).counts == BatchCounts(rows=1, quarantined=1)
        assert "cannot be read" in refused(world, work)[0][2]

    def test_one_of_too_many_bytes_is_not_read(self, world: World) -> None:
        work = world.drop("pets", "a.bmp", PETS["dogs/3.bmp"] + b"\x00" * MAX_BYTES)
        world.run()
        assert "of at most 20,000,000" in refused(world, work)[0][2]

    def test_a_name_that_says_otherwise_is_a_warning(self, world: World) -> None:
        work = world.drop("pets", "a.csv", PETS["cats/0.png"])
        world.run()
        assert world.result("pets", work).warnings == ("It is named .csv but holds a picture.",)


class TestTheOtherWayRound:
    @pytest.mark.parametrize(
        ("name", "data", "words"),
        [
            ("table.csv", b"sepal_length,sepal_width\n1,2\n", "no column that says where pictures are (image, path"),
            ("page.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is none of JPEG"),
            ("photo.heic", b"\x00\x00\x00\x18ftypheic" + bytes(99), "is none of JPEG"),
            ("empty.zip", b"", "is empty"),
            ("bad.zip", zipped(PETS)[:-9], "is a damaged zip"),
            ("paper.pdf", b"%PDF-1.7\n", "is a PDF"),
        ],
        ids=["table", "markup", "heic", "empty", "damaged", "pdf"],
    )  # fmt: skip
    def test_a_model_of_pictures_refuses_what_holds_none(
        self, world: World, name: str, data: bytes, words: str
    ) -> None:
        assert words in failure(world, name, data)

    @pytest.mark.parametrize(
        ("data", "words"),
        [(zipped(PETS), "is a zip archive"), *((PETS[name], "is a picture, and this model takes tables") for name in
                                               list(PETS)[:6])],
    )  # fmt: skip
    def test_a_model_of_tables_refuses_pictures(self, data: bytes, words: str) -> None:
        with pytest.raises(DataError, match=words):
            sniff(BytesSource("in.csv", data), models.make_spec())

    def test_a_header_may_begin_as_a_bitmap_does(self) -> None:
        assert sniff(BytesSource("in.csv", b"BMI,sepal_length\n1,2\n"), models.make_spec()).names[0] == "BMI"

    def test_huge_files_are_not_for_spark(self, world: World) -> None:
        found = BatchInput(bucket=BUCKET, key="pets/batch/waiting/a.zip", version=None, etag="x", size=SPARK_BYTES)
        request = BatchRequest(model="pets", name="a.zip", options=BatchOptions(), created=START, input=found)
        world.store.put_new(keys.batch_request("pets", found.work), request.to_bytes())
        world.run()
        reason = world.result("pets", found.work).reason or ""
        assert "Split it into several" in reason and "Spark" not in reason


def test_a_shift_that_is_too_short_is_handed_back(world: World) -> None:
    """Time is counted by pictures: a second for three of them, where a table of that size takes none."""
    world.drop("pets", "a.zip", zipped({f"{place}.png": b"" for place in range(200)}))
    (body,) = world.messages
    with pytest.raises(OutOfTime, match="may take 80"):
        world.work(body, shift=Shift(lambda: 60.0, first=False))
    assert world.work(body, shift=Shift(lambda: 81.0, first=False))[0].state == "done"


def test_events_of_all_kinds_tell_of_pictures(world: World) -> None:
    """As S3 says it itself, and without a size."""
    world.store.put_new("pets/batch/in/a.zip", zipped(PETS))
    (outcome,) = world.work(created("pets/batch/in/a.zip"))
    assert outcome.counts == BatchCounts(rows=len(PETS), scored=len(PETS))


class TestFolders:
    def test_a_folder_is_the_listing_of_its_files(self, tmp_path: Path) -> None:
        folder = class_folders(tmp_path / "pets", {"cat": 3, "dog": 2})
        (folder / ".hidden").mkdir()
        (folder / ".hidden/x.png").write_bytes(b"x")
        (folder / "dog/.DS_Store").write_bytes(b"x")
        (folder / "out.csv").write_bytes(b"x")
        (tmp_path / "outside.png").write_bytes(b"x")
        (folder / "link.png").symlink_to(tmp_path / "outside.png")
        (folder / "own.png").symlink_to(folder / "cat/00000.png")
        (folder / "up").symlink_to(tmp_path)
        source = folder_source(folder, leave_out=[folder / "out.csv"])
        names = [json.loads(line)["file"] for line in source.read(0, source.size).splitlines()]
        assert names == [*(f"cat/0000{place}.png" for place in range(3)), "dog/00000.png", "dog/00001.png", "own.png"]

    def test_paths_of_this_machine(self, tmp_path: Path) -> None:
        store = memory_store()
        digest = put_picture(store, "pets", b"picture")
        assert digest == hashlib.sha256(b"picture").hexdigest()
        (tmp_path / "a.png").write_bytes(b"x")
        (tmp_path / "large.png").write_bytes(b"")
        with (tmp_path / "large.png").open("r+b") as file:
            file.truncate(MAX_BYTES + 1)
        places = LocalPlaces(tmp_path, store, "pets")
        got: Callable[[str], bytes] = lambda name: places.get(name, {})  # noqa: E731
        assert (got("a.png"), got(str(tmp_path / "a.png")), got(digest)) == (b"x", b"x", b"picture")
        for name, words in {
            "b.png": "is not there", ".": "is no file", "s3://lake/a.png": "no file of this machine",
            "large.png": "20,000,001 bytes", "a\x00.png": "is no path", "a.png/b": "not a directory",
        }.items():  # fmt: skip
            with pytest.raises(Unusable, match=words):
                got(name)


def test_threads_do_not_change_the_answers() -> None:
    """However many score the same zip, it gives the same bytes, and tells of its progress in order."""
    source = BytesSource("a.zip", zipped({**PETS, "bad": b"?"}))
    dialect = sniff(source, CHAMPION.manifest.spec)
    found = set()
    ends: list[int] = []
    for threads in (1, 2, 4):
        scorer = Scorer(PREDICTOR, names=dialect.columns)
        rows, bad = io.BytesIO(), io.BytesIO()
        ends.clear()
        score_file(
            scorer, source, dialect, CsvWriter(rows, scorer.schema), QuarantineWriter(bad), threads=threads,
            progress=lambda counts, end: ends.append(end),
        )  # fmt: skip
        assert ends == sorted(ends) and ends[-1] == source.size
        found.add((rows.getvalue(), bad.getvalue()))
    assert len(found) == 1
    assert_answers(table(found.pop()[0]), PETS)
