"""Store moto's S3 objects on disk: acknowledged objects survive `kill -9`.

An object is two files in its bucket's folder: the body under a unique name, and a JSON record
named after the key's hash, which names the body's file. (A key may contain any character and be
longer than a file name.) The rename of the record is the moment at which the object changes.
"""

import hashlib
import json
import os
import threading
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from moto.s3.models import FakeKey, S3Backend, s3_backends

from runyard_dev.template.cloudformation import ACCOUNT_ID

_RECORD = ".json"
_BODY = ".body"


@dataclass(frozen=True)
class StoredObject:
    """The record of an object: everything except its body."""

    key: str
    body_file: str
    etag: str | None
    metadata: dict[str, str]


class ObjectFolder:
    """The objects of all buckets below one folder."""

    def __init__(self, root: Path) -> None:
        """Use `root`, and create it if it does not exist."""
        self._root = root
        # One writer at a time: body and record of one key must not mix between two writes.
        self._lock = threading.Lock()
        root.mkdir(parents=True, exist_ok=True)

    def write(
        self, bucket: str, key: str, body: bytes | None, etag: str | None, metadata: dict[str, str]
    ) -> None:
        """Store the object durably. If the body is None, the stored body does not change."""
        with self._lock:
            folder = self._root / bucket
            folder.mkdir(exist_ok=True)
            record_path = folder / (_name(key) + _RECORD)
            old = _read(record_path)
            if body is None:
                if old is None:
                    return
                body_file = old.body_file
            else:
                body_file = f"{_name(key)}-{uuid.uuid4().hex}{_BODY}"
                _write(folder / body_file, body)
            record = StoredObject(key, body_file, etag, metadata)
            temporary = folder / f"{body_file}.new"
            _write(temporary, json.dumps(asdict(record)).encode())
            temporary.replace(record_path)
            _sync_folder(folder)
            if old is not None and old.body_file != body_file:
                (folder / old.body_file).unlink(missing_ok=True)

    def delete(self, bucket: str, key: str) -> None:
        """Delete the object durably; do nothing if it does not exist."""
        with self._lock:
            folder = self._root / bucket
            record_path = folder / (_name(key) + _RECORD)
            old = _read(record_path)
            if old is None:
                return
            record_path.unlink()
            _sync_folder(folder)
            (folder / old.body_file).unlink(missing_ok=True)

    def objects(self) -> Iterator[tuple[str, StoredObject, bytes]]:
        """Yield bucket, record and body of every object; remove the files of unfinished writes."""
        for folder in sorted(path for path in self._root.iterdir() if path.is_dir()):
            used = set()
            for record_path in sorted(folder.glob(f"*{_RECORD}")):
                if record := _read(record_path):
                    used |= {record_path.name, record.body_file}
                    yield folder.name, record, (folder / record.body_file).read_bytes()
            for path in folder.iterdir():
                if path.name not in used:
                    path.unlink()


def install(root: Path) -> None:
    """Load the objects on disk into moto and write every later change to disk."""
    folder = ObjectFolder(root)
    backend = s3_backends[ACCOUNT_ID]["aws"]
    for bucket, record, body in folder.objects():
        if bucket not in backend.buckets:
            backend.create_bucket(bucket, "us-east-1")
        key = backend.put_object(bucket, record.key, body, etag=record.etag)
        key.set_metadata(dict(record.metadata))
    _write_through(folder)


def _write_through(folder: ObjectFolder) -> None:
    """Wrap the three methods that every write, copy, upload and deletion calls."""
    put_object, delete_object = S3Backend.put_object, S3Backend.delete_object
    set_metadata = FakeKey.set_metadata

    def write_object(self: S3Backend, *args: Any, **kwargs: Any) -> FakeKey:
        key = put_object(self, *args, **kwargs)
        folder.write(str(key.bucket_name), key.name, key.value, key._etag, dict(key.metadata))
        return key

    def set_and_write(self: FakeKey, *args: Any, **kwargs: Any) -> None:
        # moto sets content type and metadata after the object, and before it responds.
        set_metadata(self, *args, **kwargs)
        if self.bucket_name:  # The parts of an unfinished upload have no bucket.
            folder.write(self.bucket_name, self.name, None, self._etag, dict(self.metadata))

    def delete_and_remove(
        self: S3Backend, bucket_name: str, key_name: str, *args: Any, **kwargs: Any
    ) -> Any:
        result = delete_object(self, bucket_name, key_name, *args, **kwargs)
        folder.delete(bucket_name, key_name)
        return result

    # setattr: a type checker rejects an assignment to a method.
    for owner, name, replacement in (
        (S3Backend, "put_object", write_object),
        (FakeKey, "set_metadata", set_and_write),
        (S3Backend, "delete_object", delete_and_remove),
    ):
        setattr(owner, name, replacement)


def _name(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _read(path: Path) -> StoredObject | None:
    try:
        return StoredObject(**json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    # A rename is durable when the folder is written.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
