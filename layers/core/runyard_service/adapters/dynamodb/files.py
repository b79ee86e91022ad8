"""Files: their records, and their bytes under `files/<project>/<id>` in the bucket.

A file sent to an endpoint is ready at once. For a declared file, the owner uploads the bytes
directly to S3, under `uploads/`, where the bucket deletes them after a day. The first use copies
them to `files/`. So the file of a run does not change if the owner uploads again.
"""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError
from pydantic import BaseModel, ConfigDict

from runyard_service.adapters.dynamodb import keys
from runyard_service.adapters.dynamodb.attributes import (
    ConditionFailedError,
    TransactWriteItem,
    transact,
    translate_errors,
)
from runyard_service.adapters.dynamodb.idempotency import Creation, deleted_error
from runyard_service.adapters.dynamodb.table import Table
from runyard_service.adapters.s3.bucket import Bucket
from runyard_service.domain.clock import timestamp
from runyard_service.domain.content_types import HEAD_BYTES, detect_type, safe_name
from runyard_service.domain.errors import RunyardError
from runyard_service.domain.ids import new_id
from runyard_service.domain.request_errors import InvalidRequestError

MAX_FILE_BYTES = 128 * 1024 * 1024
UPLOAD_SECONDS = 900
# How long a declared file can wait for its first use. The bucket's rule for `uploads/` is a day
# too, which S3 counts from the next midnight.
PENDING_SECONDS = 86_400
# Sequential parts of 8 MiB: with threads, boto3 would hold ten parts in memory.
_TRANSFER = TransferConfig(use_threads=False)
# Without s3:ListBucket, S3 returns 403 for a missing object.
_MISSING = frozenset({"403", "404", "NoSuchKey", "AccessDenied", "PreconditionFailed"})


# Concurrent, because the first use of a large file copies it, which takes S3 a second or more.
_CONCURRENT_CHECKS = 10


class UnusableFileError(RunyardError):
    """The file cannot be used. The message is a reason for the caller."""


class File(BaseModel):
    """The record of a file. `size` is in bytes, `ttl` in seconds since the epoch."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    id: str
    project_id: str
    name: str
    size: int
    mime_type: str
    key: str
    state: Literal["pending", "ready"]
    created_at: str
    ttl: int | None = None


@dataclass(frozen=True)
class NewFile:
    """A received file that is not yet stored; `body` is seekable."""

    name: str
    mime_type: str | None
    body: BinaryIO


@dataclass(frozen=True)
class RunFiles:
    """The files of a new run: their ids, and the changes that count the run as their user."""

    ids: tuple[str, ...] = ()
    changes: tuple[TransactWriteItem, ...] = ()


@dataclass(frozen=True)
class Upload:
    """A presigned upload: a POST to `url` with `fields`, and then the part `file`."""

    url: str
    fields: dict[str, str]


class Files:
    """The file items of the records table, and the bucket's `files/` and `uploads/`."""

    def __init__(self, table: Table, bucket: Bucket) -> None:
        self._table = table
        self._bucket = bucket

    def save(
        self,
        project_id: str,
        new: NewFile,
        creation: Creation | None = None,
        *,
        run_id: str = "",
    ) -> File:
        """Store a file, and close its body. A crash in between leaves bytes without a record.

        The deletion of the run `run_id` deletes the file too, unless another run uses it.
        If `creation` created the file before, store nothing, and return the file. Raises
        ConflictError if it is deleted.
        """
        size = new.body.seek(0, 2)
        new.body.seek(0)
        head = new.body.read(HEAD_BYTES)
        new.body.seek(0)
        mime_type = detect_type(head, new.name, new.mime_type)
        file = _file(project_id, new.name, size, mime_type, "ready", creation)
        if creation and creation.is_retry and creation.created_sequence() is not None:
            return self._created(file)
        if run_id:  # First: the deletion of the run also finds a file without a record.
            self._table.put(keys.returned_file(run_id, file.id))
        with translate_errors():
            self._bucket.client.upload_fileobj(
                new.body,
                self._bucket.name,
                file.key,
                ExtraArgs={"ContentType": file.mime_type},
                Config=_TRANSFER,
            )
        new.body.close()
        return self._write(file, creation)

    def announce(
        self,
        project_id: str,
        name: str,
        size: int,
        mime_type: str,
        creation: Creation | None = None,
    ) -> tuple[File, Upload]:
        """Create the record of a file of exactly this size, and return it with its upload.

        The owner has 15 minutes to upload the file. If `creation` created the record before, return
        it with a new upload. Raises ConflictError if it is deleted.
        """
        file = _file(project_id, name, size, mime_type, "pending", creation)
        conditions: list[Any] = [
            {"Content-Type": mime_type},
            ["content-length-range", size, size],
        ]
        with translate_errors():
            post = self._bucket.client.generate_presigned_post(
                self._bucket.name,
                _upload_key(file),
                Fields={"Content-Type": mime_type},
                Conditions=conditions,
                ExpiresIn=UPLOAD_SECONDS,
            )
        return self._write(file, creation), Upload(post["url"], post["fields"])

    def find(self, project_id: str, file_id: str) -> File | None:
        """Return the project's file, or None if it does not exist or has expired."""
        item = self._table.get(keys.file(project_id, file_id))
        file = File.model_validate(item) if item else None
        # DynamoDB deletes expired items with a delay.
        return None if file is None or (file.ttl and file.ttl < time.time()) else file

    def ready(self, project_id: str, file_id: str) -> File:
        """Return the file ready for use. The first use of a declared file copies its upload.

        Raises UnusableFileError if the project does not have it, or if its upload is missing or
        incomplete.
        """
        file = self.find(project_id, file_id)
        if file is None:
            raise UnusableFileError("is not a file of this project")
        if file.state == "ready":
            return file
        with translate_errors():
            self._copy_upload(file)
        fields = {
            "state": "ready",
            "mime_type": detect_type(self.read(file, HEAD_BYTES), file.name, file.mime_type),
            "ttl": None,
        }
        try:
            self._table.update(keys.file(project_id, file_id), fields, only_if={"state": "pending"})
        except ConditionFailedError:
            # A concurrent first use has stored the same fields.
            return self.ready(project_id, file_id)
        return file.model_copy(update=fields)

    def resolve(
        self, project_id: str, file_ids: Sequence[str], uploads: Sequence[NewFile]
    ) -> RunFiles:
        """Return the files of a new run: its named files without duplicates, and stored uploads.

        Raises InvalidRequestError, and stores nothing, if a named file cannot be used. The error
        names each such file.
        """
        ids = list(dict.fromkeys(file_ids))
        if issues := self._issues_by_id(project_id, ids):
            raise InvalidRequestError(
                {f"file_ids.{n}": issues[id_] for n, id_ in enumerate(file_ids) if id_ in issues}
            )
        ids += [self.save(project_id, upload).id for upload in uploads]
        changes = tuple(self.use_change(project_id, file_id) for file_id in ids)
        return RunFiles(tuple(ids), changes)

    def _issues_by_id(self, project_id: str, file_ids: Sequence[str]) -> dict[str, str]:
        def check(file_id: str) -> str | None:
            try:
                self.ready(project_id, file_id)
            except UnusableFileError as error:
                return str(error)
            return None

        if not file_ids:
            return {}
        with ThreadPoolExecutor(_CONCURRENT_CHECKS) as threads:
            results = zip(file_ids, threads.map(check, file_ids), strict=True)
            return {file_id: issue for file_id, issue in results if issue}

    def use_change(self, project_id: str, file_id: str, by: int = 1) -> TransactWriteItem:
        """Return the change that adds `by` to the number of runs that use the file."""
        return self._table.count_change(keys.file(project_id, file_id), "uses", by)

    def delete_unused(self, project_id: str, file_id: str) -> None:
        """Delete the file if no run uses it. Another call continues an interrupted deletion."""
        key = keys.file(project_id, file_id)
        try:
            # The record first, so no new run can use the file.
            self._table.delete(key, only_if={"uses": 0})
        except ConditionFailedError:
            if self._table.get(key) is not None:
                return
        object_keys = [f"{folder}/{project_id}/{file_id}" for folder in ("files", "uploads")]
        self._bucket.delete(object_keys)

    def read(self, file: File, limit: int) -> bytes:
        """Return the first `limit` bytes of a ready file."""
        if not min(limit, file.size):
            return b""
        with translate_errors():
            response = self._bucket.client.get_object(
                Bucket=self._bucket.name, Key=file.key, Range=f"bytes=0-{limit - 1}"
            )
            return response["Body"].read()

    def download_url(self, file: File, seconds: float) -> str:
        """Return an address that returns the bytes to anybody, for this number of seconds."""
        return self._bucket.download_url(file.key, seconds)

    def _copy_upload(self, file: File) -> None:
        """Copy the upload to the file's key, if it has the declared size."""
        source = _upload_key(file)
        try:
            head = self._bucket.client.head_object(Bucket=self._bucket.name, Key=source)
            size = head["ContentLength"]
            if size != file.size:  # S3 enforces it; an emulator may not.
                raise UnusableFileError(
                    f"size mismatch: {size} bytes uploaded, {file.size} declared"
                )
            self._bucket.client.copy_object(
                Bucket=self._bucket.name,
                Key=file.key,
                CopySource={"Bucket": self._bucket.name, "Key": source},
                # Copy only the checked object, because another upload may arrive in between.
                CopySourceIfMatch=head["ETag"],
            )
        except ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                raise UnusableFileError("has not been uploaded") from error
            raise

    def _write(self, file: File, creation: Creation | None) -> File:
        item = {**keys.file(file.project_id, file.id), **file.model_dump(), "uses": 0}
        if creation is None:
            # The id is new, so boto3 may repeat the write if its response was lost.
            self._table.put(item)
            return file
        try:
            transact(self._table.client, [self._table.put_change(item), creation.change()])
        except ConditionFailedError:
            return self._created(file)
        return file

    def _created(self, file: File) -> File:
        """Return the file as it was created first. Raises ConflictError if it is deleted."""
        if self.find(file.project_id, file.id) is None:
            raise deleted_error("file")
        return file


def _file(
    project_id: str,
    name: str,
    size: int,
    mime_type: str,
    state: Literal["pending", "ready"],
    creation: Creation | None,
) -> File:
    file_id = new_id() if creation is None else creation.id
    return File(
        id=file_id,
        project_id=project_id,
        name=safe_name(name),
        size=size,
        mime_type=mime_type,
        key=f"files/{project_id}/{file_id}",
        state=state,
        created_at=timestamp(),
        ttl=int(time.time()) + PENDING_SECONDS if state == "pending" else None,
    )


def _upload_key(file: File) -> str:
    return file.key.replace("files/", "uploads/", 1)
