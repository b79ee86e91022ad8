"""Test tickets and their signing keys: rotated, in several processes, and forged."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from botocore.exceptions import EndpointConnectionError

from runyard_dev.dev_stack import DevStack
from runyard_service.adapters import secrets
from runyard_service.adapters.secrets import (
    MAX_READS,
    OVERLAP_SECONDS,
    TICKET_SECONDS,
    TicketKeys,
    rotate,
)
from runyard_service.api import tickets
from runyard_service.domain.errors import RunyardError
from runyard_service.domain.ids import new_id
from runyard_service.domain.request_errors import ConflictError
from tests.support.app_server import make_services, running_app
from tests.support.command_line import run_command
from tests.support.service import Service

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

RUN = new_id()


class Counted:
    """A client that counts reads of a secret, and can be made to fail."""

    def __init__(self, client: "SecretsManagerClient") -> None:
        self._client = client
        self.reads = 0
        self.is_away = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def get_secret_value(self, **arguments: Any) -> Any:
        self.reads += 1
        if self.is_away:
            raise EndpointConnectionError(endpoint_url="http://secrets")
        return self._client.get_secret_value(**arguments)


class Clock:
    """Both clocks of the keys and the tickets, controlled by the test."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self._time, self._monotonic = time.time, time.monotonic

    def time(self) -> float:
        return self._time() + self.ahead

    def monotonic(self) -> float:
        return self._monotonic() + self.ahead


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Control the clock of these two modules only."""
    clock = Clock()
    monkeypatch.setattr(secrets, "time", clock)
    monkeypatch.setattr(tickets, "time", clock)
    return clock


@pytest.fixture
def client(stack: DevStack) -> "SecretsManagerClient":
    return stack.client("secretsmanager")  # type: ignore[no-any-return]


@pytest.fixture
def secret(client: "SecretsManagerClient") -> Iterator[str]:
    """Create a secret that was never rotated."""
    name = f"tickets-{new_id()}"
    client.create_secret(Name=name, SecretString="the first")
    yield name
    client.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)


def test_a_ticket_is_valid_for_its_run_and_scope_until_it_expires(
    client: "SecretsManagerClient", secret: str, clock: Clock
) -> None:
    keys = TicketKeys(lambda: client, secret)
    ticket = tickets.issue(keys, RUN)
    assert tickets.is_valid(keys, ticket, RUN)
    assert not tickets.is_valid(keys, ticket, new_id())
    assert not tickets.is_valid(keys, ticket, RUN, scope="files")  # type: ignore[arg-type]
    clock.ahead = TICKET_SECONDS + 1
    assert not tickets.is_valid(keys, ticket, RUN)


def test_a_changed_ticket_is_invalid(client: "SecretsManagerClient", secret: str) -> None:
    keys = TicketKeys(lambda: client, secret)
    run_id, scope, expiry, key_id, signature = tickets.issue(keys, RUN).split(".")
    other = new_id()
    for forged in (
        (other, scope, expiry, key_id, signature),
        (run_id, "files", expiry, key_id, signature),
        (run_id, scope, str(int(expiry) + 1), key_id, signature),
        (run_id, scope, expiry, key_id[::-1], signature),
        (run_id, scope, expiry, key_id, signature[::-1]),
        (run_id, scope, expiry, key_id, ""),
        (run_id, scope, expiry, "", signature),
        (run_id, scope, expiry, key_id),
        (run_id, scope, expiry, key_id, signature, ""),
        (run_id, scope, f"{expiry}\n", key_id, signature),
        (run_id, scope, "٣" * 10, key_id, signature),
        ("",),
    ):
        for claimed in (run_id, other):
            assert not tickets.is_valid(keys, ".".join(forged), claimed), forged


def test_a_leaked_key_cannot_sign_long_lived_tickets(
    client: "SecretsManagerClient", secret: str, clock: Clock
) -> None:
    keys = TicketKeys(lambda: client, secret)
    clock.ahead = 3600
    ticket = tickets.issue(keys, RUN)
    clock.ahead = 0
    assert not tickets.is_valid(keys, ticket, RUN)


def test_servers_accept_the_same_tickets_during_a_rotation(
    client: "SecretsManagerClient", secret: str, clock: Clock
) -> None:
    early, late = TicketKeys(lambda: client, secret), TicketKeys(lambda: client, secret)
    before = tickets.issue(early, RUN)
    rotate(client, secret, at_once=True)
    # `early` still signs with its cached secret, and `late` has read both.
    of_early, of_late = tickets.issue(early, RUN), tickets.issue(late, RUN)
    assert of_early.split(".")[3] == before.split(".")[3] != of_late.split(".")[3]
    for keys in (early, late):
        for ticket in (before, of_early, of_late):
            assert tickets.is_valid(keys, ticket, RUN)
    clock.ahead = secrets.REFRESH_SECONDS
    assert tickets.issue(early, RUN).split(".")[3] == of_late.split(".")[3]


def test_the_previous_secret_is_valid_until_its_last_ticket_has_expired(
    client: "SecretsManagerClient", secret: str, clock: Clock
) -> None:
    old = TicketKeys(lambda: client, secret)
    old.signing()
    rotate(client, secret, at_once=True)
    servers = TicketKeys(lambda: client, secret)
    clock.ahead = secrets.REFRESH_SECONDS - 1
    last = tickets.issue(old, RUN)
    clock.ahead += TICKET_SECONDS - 1
    assert tickets.is_valid(servers, last, RUN)
    # A holder of the old secret can sign with it, but the ticket is invalid.
    clock.ahead = OVERLAP_SECONDS + 1
    key_id = last.split(".")[3]
    leaked = secrets.TicketKey("the first")
    assert leaked.id == key_id
    assert servers.find(key_id) is None


def test_the_secret_before_the_previous_is_invalid(
    client: "SecretsManagerClient", secret: str, clock: Clock
) -> None:
    ticket = tickets.issue(TicketKeys(lambda: client, secret), RUN)
    with pytest.raises(ConflictError, match="is new"):
        rotate(client, secret)
    rotate(client, secret, at_once=True)
    assert tickets.is_valid(TicketKeys(lambda: client, secret), ticket, RUN)
    rotate(client, secret, at_once=True)
    assert not tickets.is_valid(TicketKeys(lambda: client, secret), ticket, RUN)
    clock.ahead = OVERLAP_SECONDS + 1
    rotate(client, secret)


def test_invented_key_ids_cause_few_reads_of_the_secret(
    client: "SecretsManagerClient", secret: str, clock: Clock
) -> None:
    counted = Counted(client)
    keys = TicketKeys(lambda: counted, secret)  # type: ignore[arg-type,return-value]
    run_id, scope, expiry, _, signature = tickets.issue(keys, RUN).split(".")
    assert counted.reads == 2
    for number in range(100):
        forged = f"{run_id}.{scope}.{expiry}.{number:012x}.{signature}"
        assert not tickets.is_valid(keys, forged, RUN)
    # A ticket that can never be valid causes no read.
    assert not tickets.is_valid(keys, f"{RUN}.stream.1.000000000000.{signature}", RUN)
    assert counted.reads == 2 * MAX_READS
    # A known key is always accepted; a new key is found when reads are allowed again.
    assert tickets.is_valid(keys, tickets.issue(keys, RUN), RUN)
    rotate(client, secret, at_once=True)
    new = tickets.issue(TicketKeys(lambda: client, secret), RUN)
    assert not tickets.is_valid(keys, new, RUN)
    clock.ahead = secrets.READS_SECONDS
    assert tickets.is_valid(keys, new, RUN)


def test_cached_secrets_remain_valid_while_secrets_manager_is_unavailable(
    client: "SecretsManagerClient", secret: str, clock: Clock
) -> None:
    counted = Counted(client)
    keys = TicketKeys(lambda: counted, secret)  # type: ignore[arg-type,return-value]
    counted.is_away = True
    with pytest.raises(RunyardError):
        keys.signing()
    counted.is_away = False
    keys.signing()
    counted.is_away = True
    clock.ahead = secrets.REFRESH_SECONDS
    assert tickets.is_valid(keys, tickets.issue(keys, RUN), RUN)


def test_two_running_servers_accept_tickets_during_a_rotation(
    stack: DevStack, service: Service, secret: str, client: "SecretsManagerClient"
) -> None:
    run = service.create({"ticket_subject": "Export is broken"})
    path = f"/v1/runs/{run['id']}"
    early = make_services(stack, ticket_secret_id=secret)
    late = make_services(stack, ticket_secret_id=secret)
    headers = service.http.headers
    with running_app(early) as first, running_app(late) as second:
        made = [httpx.post(f"{first}{path}/ticket", headers=headers).json()["data"]["ticket"]]
        rotate(client, secret, at_once=True)
        for server in (second, first):
            answer = httpx.post(f"{server}{path}/ticket", headers=headers)
            made.append(answer.json()["data"]["ticket"])
        for server in (first, second):
            for ticket in made:
                answer = httpx.get(f"{server}{path}/stream", params={"ticket": ticket})
                assert "event: run.completed" in answer.text
            answer = httpx.get(f"{server}{path}/stream", params={"ticket": made[0][:-1]})
            assert answer.status_code == 401


def test_the_command_rotates_and_reports_a_rotation_that_is_too_soon(
    stack: DevStack,
    client: "SecretsManagerClient",
    secret: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in stack.environment.items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    before = client.get_secret_value(SecretId=secret)["SecretString"]
    assert run_command("tickets", "rotate-secret", "--secret", secret) == 1
    assert "is new" in capsys.readouterr().err
    assert run_command("tickets", "rotate-secret", "--secret", secret, "--at-once") == 0
    assert run_command("tickets", "rotate-secret", "--secret", "unknown") == 1
    after = client.get_secret_value(SecretId=secret)["SecretString"]
    previous = client.get_secret_value(SecretId=secret, VersionStage="AWSPREVIOUS")["SecretString"]
    assert (previous, len(after)) == (before, 64)
    assert before not in capsys.readouterr().out
