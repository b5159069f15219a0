"""How rows get into the bucket: whole or not at all, small or large, and once."""

from __future__ import annotations

from typing import Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.stub import ANY, Stubber

from perennial.errors import StoreRefused, StoreUnavailable
from perennial.scoring.batch import multipart
from perennial.scoring.batch.multipart import S3Uploads
from perennial.scoring.batch.outputs import Outgoing
from perennial.settings import Settings
from perennial.store import Store, memory_store
from tests.support.batch_world import MemoryUploads

KEY = "iris/batch/out/a.csv/v-w.csv"


@pytest.fixture
def store() -> Store:
    return memory_store()


@pytest.fixture
def uploads(store: Store) -> MemoryUploads:
    return MemoryUploads(store)


def test_what_is_small_is_put_at_once(store: Store, uploads: MemoryUploads) -> None:
    out = Outgoing(store, uploads, KEY, "text/csv")
    for data in (b"a,b\n", bytearray(b"1,2\n"), memoryview(b"3,4\n")):
        out.write(data)
    assert not store.exists(KEY)
    out.commit()
    out.discard()
    assert (store.get(KEY).data, out.output.size, uploads.begun) == (b"a,b\n1,2\n3,4\n", 12, [])


def test_what_is_large_goes_in_parts_of_one_size(store: Store, uploads: MemoryUploads) -> None:
    out = Outgoing(store, uploads, KEY, "text/csv", buffer=10)
    for _ in range(7):
        out.write(b"12345")
    assert not store.exists(KEY)
    out.commit()
    (upload,) = uploads.begun
    assert [len(part) for part in upload.parts] == [10, 10, 10, 5] and upload.ended == "completed"
    assert store.get(KEY).data == b"12345" * 7 and out.size == 35


def test_nothing_is_left_of_what_is_discarded(store: Store, uploads: MemoryUploads) -> None:
    for buffer in (10, 1000):
        out = Outgoing(store, uploads, KEY, "text/csv", buffer=buffer)
        out.write(b"1234567890123")
        out.discard()
        out.discard()
    assert [upload.ended for upload in uploads.begun] == ["aborted"]
    assert list(store.list("")) == []


@pytest.mark.parametrize("buffer", [10, 1000])
def test_the_first_of_two_writers_stands(store: Store, uploads: MemoryUploads, buffer: int) -> None:
    for data in (b"the first writer\n", b"another, as of a later release\n"):
        out = Outgoing(store, uploads, KEY, "text/csv", buffer=buffer)
        out.write(data)
        out.commit()
        assert out.output.size == len(b"the first writer\n")
    assert store.get(KEY).data == b"the first writer\n"


def test_a_part_that_cannot_be_sent_ends_the_writing(store: Store, uploads: MemoryUploads) -> None:
    class Broken(MemoryUploads):
        def begin(self, key: str, media_type: str) -> Any:
            upload = super().begin(key, media_type)

            def refuse(data: bytes) -> None:
                raise StoreUnavailable("S3 does not answer.")

            upload.send = refuse  # type: ignore[method-assign]
            return upload

    broken = Broken(store)
    out = Outgoing(store, broken, KEY, "text/csv", buffer=10)
    out.write(b"1234567890")
    with pytest.raises(StoreUnavailable):
        out.write(b"1234567890")
    out.discard()
    assert [upload.ended for upload in broken.begun] == ["aborted"]
    assert not store.exists(KEY)


def test_a_parquet_writer_is_content_with_it(store: Store, uploads: MemoryUploads) -> None:
    table = pa.table({"row": range(1000), "text": ["x" * 20] * 1000})
    out = Outgoing(store, uploads, KEY, "application/vnd.apache.parquet", buffer=500)
    with pq.ParquetWriter(out, table.schema) as writer:
        writer.write_table(table, row_group_size=100)
    out.commit()
    assert len(uploads.begun[0].parts) > 3
    assert pq.read_table(pa.BufferReader(store.get(KEY).data)).equals(table)


PLACE = {"Bucket": "data", "Key": KEY}
PARTS = {"Parts": [{"PartNumber": 1, "ETag": '"1"'}, {"PartNumber": 2, "ETag": '"2"'}]}
COMPLETED = PLACE | {"UploadId": "u", "MultipartUpload": PARTS, "IfNoneMatch": "*"}


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What S3 says to an upload of two parts."""
    client = boto3.client("s3", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    monkeypatch.setattr(multipart, "_client", lambda settings, silence: client)
    with Stubber(client) as found:
        begun = PLACE | {"ContentType": "text/csv", "CacheControl": "no-cache"}
        found.add_response("create_multipart_upload", {"UploadId": "u"}, begun)
        for number in (1, 2):
            sent = PLACE | {"UploadId": "u", "PartNumber": number, "Body": ANY}
            found.add_response("upload_part", {"ETag": f'"{number}"'}, sent)
        yield found
        found.assert_no_pending_responses()


def upload_two_parts() -> Any:
    upload = S3Uploads(Settings(bucket="data")).begin(KEY, "text/csv")
    upload.send(b"1")
    upload.send(b"2")
    return upload


def test_an_upload_is_made_only_where_nothing_is(stub: Any) -> None:
    stub.add_response("complete_multipart_upload", {}, COMPLETED)
    upload_two_parts().complete()


def test_an_object_that_is_there_stays_and_the_upload_ends(stub: Any) -> None:
    stub.add_client_error("complete_multipart_upload", "PreconditionFailed", http_status_code=412)
    stub.add_response("head_object", {"ContentLength": 2}, PLACE)
    stub.add_response("abort_multipart_upload", {}, PLACE | {"UploadId": "u"})
    upload_two_parts().complete()


def test_a_conflict_is_a_success_only_where_the_object_is_there(stub: Any) -> None:
    """S3 says 409 of two that complete at once, and neither may have landed."""
    stub.add_client_error("complete_multipart_upload", "ConditionalRequestConflict", http_status_code=409)
    stub.add_client_error("head_object", "404", http_status_code=404)
    with pytest.raises(StoreUnavailable, match="safe"):
        upload_two_parts().complete()


def test_an_answer_that_was_lost_is_settled_by_looking(stub: Any) -> None:
    stub.add_client_error("complete_multipart_upload", "NoSuchUpload", http_status_code=404)  # a retry, after success
    stub.add_response("head_object", {"ContentLength": 2}, PLACE)
    upload_two_parts().complete()


def test_a_refusal_is_told_as_one(stub: Any) -> None:
    stub.add_client_error("complete_multipart_upload", "AccessDenied", http_status_code=403)
    stub.add_client_error("head_object", "404", http_status_code=404)
    with pytest.raises(StoreRefused):
        upload_two_parts().complete()


def test_an_abort_that_fails_is_left_to_the_bucket(stub: Any) -> None:
    stub.add_client_error("abort_multipart_upload", "NoSuchUpload", http_status_code=404)
    upload_two_parts().abort()
