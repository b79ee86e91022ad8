"""Makes the development access key known to the stack."""

from collections.abc import Mapping

from runyard_dev.clients import client
from runyard_service.adapters.dynamodb.access_keys import AccessKeys
from runyard_service.adapters.dynamodb.table import Table

DEVELOPMENT_KEY = "ry_dev_key"  # Obvious on purpose: it is worth nothing outside this machine.
PROJECT_ID = "dev"
ORG_ID = "dev"


def store_access_key(secret: str, environment: Mapping[str, str]) -> None:
    """Store the key with every scope; one that is there already is replaced."""
    table = Table(client("dynamodb", environment), environment["RECORDS_TABLE"])
    AccessKeys(table).put(secret, project_id=PROJECT_ID, org_id=ORG_ID)
