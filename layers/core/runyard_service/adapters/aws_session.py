"""Create AWS clients quickly, because a function's first caller waits for them.

Before botocore creates a client, it lists the folders of its four hundred services. It also parses
its list of endpoints three times slower than necessary. Together they take a tenth of a cold start.
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

# Several threads can use a client, but only one thread at a time can create clients of a session.
_lock = threading.Lock()


@contextmanager
def session_lock() -> Iterator[boto3.Session]:
    """Return a context that holds the process's session exclusively, to create clients."""
    with _lock:
        yield session()


@lru_cache(maxsize=1)
def session() -> boto3.Session:
    """Return Runyard's own session, which knows few services. Tools use boto3's default session."""
    botocore_session = botocore.session.get_session()
    botocore_session.register_component("data_loader", _OwnServices(file_loader=_PlainFiles()))
    return boto3.Session(botocore_session=botocore_session)


class _OwnServices(Loader):
    """botocore's loader with a fixed list of services."""

    def list_available_services(self, type_name: str) -> list[str]:  # noqa: ARG002
        """Return the services that the functions call."""
        return list(_SERVICES)


class _PlainFiles(JSONFileLoader):
    """Load files as dicts, which are ordered too. An OrderedDict takes three times as long."""

    def load_file(self, file_path: str) -> Any:
        """Return the content of `<file_path>.json` or `.json.gz`, or None without either."""
        plain, packed = Path(f"{file_path}.json"), Path(f"{file_path}.json.gz")
        if plain.is_file():
            return json.loads(plain.read_bytes())
        return json.loads(gzip.decompress(packed.read_bytes())) if packed.is_file() else None
