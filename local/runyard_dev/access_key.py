"""The access key of the local stack: random, one per data folder."""

import secrets
from collections.abc import Mapping
from pathlib import Path

from runyard_dev.clients import client
from runyard_dev.secret_values import write_secret
from runyard_service.adapters.dynamodb.access_keys import AccessKeys
from runyard_service.adapters.dynamodb.table import Table

KEY_FILE = "access-key"
PROJECT_ID = "dev"
ORG_ID = "dev"


def choose_access_key(data_dir: Path, chosen: str | None) -> str:
    """Return the chosen key, or the saved one of the data folder, or a new one, and save it.

    A random key protects the stack from web pages and other users of this machine, which could
    guess a constant one.
    """
    file = data_dir / KEY_FILE
    saved = file.read_text(encoding="utf-8").strip() if file.exists() else ""
    key = chosen or saved or f"ry_dev_{secrets.token_urlsafe(24)}"
    if key != saved:
        write_secret(file, key + "\n")
    return key


def store_access_key(secret: str, environment: Mapping[str, str]) -> None:
    """Store the key with every scope; replace the same key."""
    table = Table(client("dynamodb", environment), environment["RECORDS_TABLE"])
    AccessKeys(table).save(secret, project_id=PROJECT_ID, org_id=ORG_ID)
