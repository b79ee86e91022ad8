"""How a function comes to its AWS clients: quickly, for its first caller waits for them.

Before botocore makes a client it looks into the folders of all its four hundred services, and it
reads its list of endpoints three times as slowly as it could: together a tenth of a cold start.
"""

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import boto3
import botocore.session
from botocore.loaders import JSONFileLoader, Loader

_SERVICES = ("dynamodb", "events", "s3", "secretsmanager", "sqs", "stepfunctions")

# Clients are safe to use in several threads, and not to make.
_making = threading.Lock()


@contextmanager
def session_lock() -> Iterator[boto3.Session]:
    """The process's session, for this block alone to make a client of."""
    with _making:
        yield session()


@lru_cache(maxsize=1)
def session() -> boto3.Session:
    """A session of Runyard's own: it knows few services, and boto3's default one is the tools'."""
    own = botocore.session.get_session()
    own.register_component("data_loader", _OwnServices(file_loader=_PlainFiles()))
    return boto3.Session(botocore_session=own)


class _OwnServices(Loader):
    """botocore's loader, told which services there are."""

    def list_available_services(self, type_name: str) -> list[str]:  # noqa: ARG002
        """The services that the functions call."""
        return list(_SERVICES)


class _PlainFiles(JSONFileLoader):
    """Files as dicts: they keep their order too, and OrderedDict takes three times as long."""

    def load_file(self, file_path: str) -> Any:
        """The content of `<file_path>.json`, or of its compressed form; None without one."""
        plain, packed = Path(f"{file_path}.json"), Path(f"{file_path}.json.gz")
        if plain.is_file():
            return json.loads(plain.read_bytes())
        return json.loads(gzip.decompress(packed.read_bytes())) if packed.is_file() else None
