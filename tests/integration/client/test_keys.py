"""The access keys of an organization, with both Python clients and with the TypeScript client."""

import json
from pathlib import Path

import pytest

from runyard import KeyRefused
from runyard_service.adapters.dynamodb.access_keys import ALL_SCOPES
from runyard_service.adapters.stores import Stores
from runyard_service.domain.ids import new_id
from tests.support.python_clients import EACH_PYTHON_CLIENT, PythonClient
from tests.support.service import Service
from tests.support.typescript_client import needs_client, run

SCRIPT = Path(__file__).parents[1] / "typescript_client" / "keys.mjs"


@pytest.fixture
def project(stores: Stores) -> tuple[str, str]:
    """Return a new project, and a key of its organization with the right to manage keys."""
    name, org_id, secret = f"project-{new_id()}", f"org-{new_id()}", f"ry_test_{new_id()}"
    stores.access_keys.claim_project(name, org_id)
    stores.access_keys.save(secret, project_id="", org_id=org_id, scopes=ALL_SCOPES)
    return name, secret


@pytest.mark.parametrize("client", EACH_PYTHON_CLIENT)
def test_a_key_is_created_used_and_revoked(
    client: PythonClient, service: Service, project: tuple[str, str]
) -> None:
    url = service.base_url
    name, manager = project
    created = client(url, manager, lambda c: c.keys.create(project_id=name, scopes=["runs:read"]))
    assert (created.project_id, created.scopes) == (name, ("runs:read",))
    assert created.secret.startswith("ry_")
    assert client(url, created.secret, lambda c: c.me()).key_id == created.id
    with pytest.raises(KeyRefused, match="keys:write"):
        client(url, created.secret, lambda c: c.keys.create())
    listed = client(url, manager, lambda c: c.keys.list())
    assert [(key.project_id, key.secret) for key in listed] == [(None, None), (name, None)]
    revoked = client(url, manager, lambda c: c.keys.revoke(created.id))
    assert (revoked.id, revoked.revoked_at is None) == (created.id, False)


@needs_client
def test_the_typescript_client_creates_and_revokes_a_key(
    service: Service, project: tuple[str, str]
) -> None:
    name, manager = project
    done = run("node", str(SCRIPT), service.base_url, manager, name)
    assert json.loads(done.stdout) == {
        "has_secret": True,
        "is_usable": True,
        "listed": [[None, False], [name, False]],
        "revoked": [False, True],
    }
