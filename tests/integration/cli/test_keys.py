"""`runyard keys` over HTTP: the same commands, with the key of an organization."""

from collections.abc import Iterator

import pytest

from runyard_service.adapters.dynamodb.access_keys import Scope
from runyard_service.adapters.stores import Stores
from runyard_service.domain.ids import new_id
from tests.support.command_line import call_service
from tests.support.service import Service

PROJECT = f"project-{new_id()}"


@pytest.fixture(scope="module")
def organization(service: Service, stores: Stores) -> Iterator[Service]:
    """Yield the service with the key of a new organization, which owns PROJECT."""
    secret, org = f"ry_test_{new_id()}", f"org-{new_id()}"
    scopes: frozenset[Scope] = frozenset({"runs:read", "keys:write"})
    stores.access_keys.claim_project(PROJECT, org)
    stores.access_keys.save(secret, project_id="", org_id=org, scopes=scopes)
    running = Service(service.base_url, secret)
    yield running
    running.close()


def test_a_key_is_created_listed_and_revoked(organization: Service) -> None:
    words = ("--project", PROJECT, "--scope", "runs:read", "--user-id", "ada", "--days", "7")
    created = call_service(organization, "keys", "create", *words)
    assert created.exit_code == 0, created.stderr
    reader = Service(organization.base_url, created.stdout.strip())
    assert call_service(reader, "runs", "list").exit_code == 0
    listed = call_service(organization, "keys", "list").stdout.splitlines()
    [row] = [line.split() for line in listed if PROJECT in line]
    assert row[2:6] == [PROJECT, "ada", "-", "runs:read"]
    assert created.stdout.strip() not in "\n".join(listed)
    revoked = call_service(organization, "keys", "revoke", row[0])
    assert revoked.stdout.startswith(f"{row[0]} revoked at 20")
    reader.close()


def test_the_key_of_a_project_is_rejected(project: Service) -> None:
    done = call_service(project, "keys", "create", "--project", "x")
    assert (done.exit_code, done.stdout) == (7, "")


def test_an_unknown_key_does_not_exist(organization: Service) -> None:
    assert call_service(organization, "keys", "revoke", "key_000000000000").exit_code == 6


@pytest.mark.parametrize("option", ["--local", "--stack=s", "--table=t"])
def test_an_installation_and_a_service_are_not_mixed(organization: Service, option: str) -> None:
    words = ("keys", "list", "--url", organization.base_url, option)
    assert call_service(organization, *words).exit_code == 2
