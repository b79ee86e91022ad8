"""Test the store of files: complete, separated by project, and fixed by their first use."""

import base64
import io
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import boto3
import httpx
import pytest

from runyard_dev.dev_stack import DevStack
from runyard_service.adapters.dynamodb import keys
from runyard_service.adapters.dynamodb.files import File, NewFile, UnusableFileError, Upload
from runyard_service.adapters.dynamodb.table import Table
from runyard_service.adapters.stores import Stores
from runyard_service.container import S3_CONFIG
from runyard_service.domain.ids import new_id

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"


def save(stores: Stores, project: str, content: bytes, name: str = "a.txt") -> File:
    return stores.files.save(project, NewFile(name, "text/plain", io.BytesIO(content)))


def post(upload: Upload, content: bytes) -> None:
    response = httpx.post(upload.url, data=upload.fields, files={"file": content}, timeout=60)
    assert response.is_success, response.text


def test_a_file_is_returned_as_it_was_saved(stores: Stores) -> None:
    project = new_id()
    file = save(stores, project, PNG + b"\x00" * 100, "../photo.txt")
    assert stores.files.find(project, file.id) == file == stores.files.ready(project, file.id)
    assert (file.name, file.size, file.mime_type) == ("photo.txt", 116, "image/png")
    assert (file.state, file.ttl, file.key) == ("ready", None, f"files/{project}/{file.id}")
    assert stores.files.read(file, 8) == PNG[:8]
    assert stores.files.read(file, 1000) == PNG + b"\x00" * 100
    assert stores.files.read(file, 0) == b""


def test_an_empty_file_is_a_file(stores: Stores) -> None:
    file = save(stores, "p", b"")
    assert (file.size, stores.files.read(file, 100)) == (0, b"")


def test_an_id_is_only_valid_in_its_project(stores: Stores) -> None:
    ours, theirs = new_id(), new_id()
    file = save(stores, ours, b"words")
    assert stores.files.find(theirs, file.id) is None
    with pytest.raises(UnusableFileError, match="is not a file of this project"):
        stores.files.ready(theirs, file.id)


def test_a_file_of_many_parts_is_whole(stores: Stores) -> None:
    content = bytes(range(256)) * (80 * 1024)  # 20 MiB: three parts.
    file = save(stores, new_id(), content)
    assert stores.files.read(file, len(content)) == content


def test_an_announced_file_becomes_ready_at_its_first_use(stores: Stores, stack: DevStack) -> None:
    project = new_id()
    file, upload = stores.files.announce(project, "a.txt", 16, "text/plain")
    assert file.state == "pending"
    assert file.ttl is not None
    assert 86_000 < file.ttl - time.time() <= 86_400
    with pytest.raises(UnusableFileError, match="has not been uploaded"):
        stores.files.ready(project, file.id)
    post(upload, PNG)
    with ThreadPoolExecutor(8) as threads:
        used = list(threads.map(lambda _: stores.files.ready(project, file.id), range(8)))
    expected = file.model_copy(update={"state": "ready", "ttl": None, "mime_type": "image/png"})
    assert used == [expected] * 8
    assert stores.files.find(project, file.id) == expected
    # A later upload with the same fields, which are still valid, does not change a used file.
    post(upload, b"x" * 16)
    assert stores.files.read(stores.files.ready(project, file.id), 100) == PNG


def test_the_policy_binds_key_type_and_size(stores: Stores) -> None:
    file, upload = stores.files.announce("p", "a.txt", 7, "text/plain")
    policy = json.loads(base64.b64decode(upload.fields["policy"]))
    assert ["content-length-range", 7, 7] in policy["conditions"]
    assert {"Content-Type": "text/plain"} in policy["conditions"]
    assert {"key": f"uploads/p/{file.id}"} in policy["conditions"]


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1"])
def test_an_upload_form_uses_signature_version_4_and_the_regional_host(region: str) -> None:
    session = boto3.Session(aws_access_key_id="a", aws_secret_access_key="b")
    s3: S3Client = session.client("s3", region, config=S3_CONFIG)
    post = s3.generate_presigned_post("a-bucket", "a-key")
    assert post["fields"]["x-amz-algorithm"] == "AWS4-HMAC-SHA256"
    # Outside us-east-1, the address without a region redirects; browsers cannot follow that.
    expected = {"us-east-1": "", "eu-central-1": ".eu-central-1"}[region]
    assert post["url"] == f"https://a-bucket.s3{expected}.amazonaws.com/"


def test_a_late_upload_has_no_effect(stores: Stores, stack: DevStack) -> None:
    file, upload = stores.files.announce("p", "a.txt", 5, "text/plain")
    post(upload, b"words")
    table = Table(stack.client("dynamodb"), stack.environment["RECORDS_TABLE"])
    table.update(keys.file("p", file.id), {"ttl": int(time.time()) - 1})
    assert stores.files.find("p", file.id) is None
