"""Test the store of access keys and the commands that create, list and revoke them."""

import json
import os
import time
from datetime import timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from botocore.stub import Stubber

from runyard.cli.admin import parameters
from runyard.cli.admin.keys import COLUMNS, SCOPES
from runyard_dev.data_dir import write_state
from runyard_dev.dev_stack import DevStack
from runyard_service.adapters.dynamodb import access_keys as module
from runyard_service.adapters.dynamodb import keys as item_keys
from runyard_service.adapters.dynamodb.access_keys import AccessKeys
from runyard_service.adapters.dynamodb.projects import ProjectLimits, RetentionDays
from runyard_service.adapters.dynamodb.table import Table
from runyard_service.adapters.s3.agent_bundle import BUNDLE_KEY
from runyard_service.adapters.stores import Stores
from runyard_service.agents.definitions.source import AgentDirectory
from runyard_service.domain.clock import timestamp_in
from runyard_service.domain.ids import new_id
from runyard_service.domain.request_errors import ConflictError
from tests.support.command_line import run_command


@pytest.fixture
def table(stack: DevStack) -> Table:
    return Table(stack.client("dynamodb"), stack.environment["RECORDS_TABLE"])


@pytest.fixture
def access_keys(table: Table) -> AccessKeys:
    """Return a store with an empty cache, as in a process that has just started."""
    return AccessKeys(table)


def test_only_the_hash_is_stored(stores: Stores, table: Table) -> None:
    secret = f"ry_{new_id()}"
    key = stores.access_keys.save(secret, project_id="p-hash", org_id="o-hash")
    items = [
        table.get(item_keys.access_key(key.key_hash)),
        table.get(item_keys.listed_access_key(key.id)),
    ]
    assert all(items)
    assert secret not in repr(items)
    assert key.id == f"key_{key.key_hash[:12]}"


def test_a_revoked_key_is_rejected_everywhere_within_the_cache_time(
    access_keys: AccessKeys, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CACHE_SECONDS", 1)
    secret = f"ry_{new_id()}"
    key = access_keys.save(secret, project_id="p-revoke", org_id="o-revoke")
    elsewhere = AccessKeys(table)
    seen = elsewhere.find(secret)
    assert seen is not None
    assert seen.is_valid()

    revoked = access_keys.revoke(key.id)
    again = access_keys.revoke(key.id)
    assert revoked is not None
    assert again == revoked
    here = access_keys.find(secret)
    assert here is not None
    assert not here.is_valid()
    time.sleep(module.CACHE_SECONDS)
    there = elsewhere.find(secret)
    assert there is not None
    assert not there.is_valid()


def test_an_unknown_key_cannot_be_revoked(access_keys: AccessKeys) -> None:
    assert access_keys.revoke("key_000000000000") is None


def test_the_last_use_is_written_at_most_once_an_hour(
    access_keys: AccessKeys, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = f"ry_{new_id()}"
    made = access_keys.save(secret, project_id="p-use", org_id="o-use")
    assert access_keys.should_record_use(made)
    access_keys.record_use(made)
    used = access_keys.find(secret)
    assert used is not None
    assert not access_keys.should_record_use(used)

    # Another process that read the key before that finds the date changed when it writes.
    first = used.last_used_at
    AccessKeys(table).record_use(made)
    fresh = AccessKeys(table).find(secret)
    assert fresh is not None
    assert fresh.last_used_at == first

    monkeypatch.setattr(module, "USE_RECORD_INTERVAL_SECONDS", -1)
    assert access_keys.should_record_use(fresh)
    access_keys.record_use(fresh)
    later = AccessKeys(table).find(secret)
    assert later is not None
    assert later.last_used_at > first


def test_a_store_that_fails_does_not_fail_the_request(stack: DevStack) -> None:
    elsewhere = AccessKeys(Table(stack.client("dynamodb"), "there-is-no-such-table"))
    key = module.AccessKey(
        key_hash="0" * 64, org_id="o", project_id="p", scopes=frozenset(), created_at=""
    )
    elsewhere.record_use(key)


def test_a_project_cannot_change_its_organization(access_keys: AccessKeys) -> None:
    project = f"project-{new_id()}"
    access_keys.save(f"ry_{new_id()}", project_id=project, org_id="first")
    access_keys.save(f"ry_{new_id()}", project_id=project, org_id="first")
    with pytest.raises(ConflictError):
        access_keys.save(f"ry_{new_id()}", project_id=project, org_id="second")
    assert access_keys.is_project_of(project, "first")
    assert not access_keys.is_project_of(project, "second")
    assert not access_keys.is_project_of("", "first")


# --- runyard keys, runyard projects ---


def run(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    group = "projects" if words[0] == "set" else "keys"
    assert run_command(group, *words) == 0
    return capsys.readouterr().out


def parse_rows(listing: str) -> dict[str, dict[str, str]]:
    """Return the rows of the table that `list` prints: id to cells, by column heading."""
    head, *lines = listing.splitlines()
    names = [name for name in COLUMNS if name in head]
    starts = [head.index(name) for name in names]
    cells = [
        {
            name: line[start:end].strip()
            for name, start, end in zip(names, starts, [*starts[1:], None], strict=True)
        }
        for line in lines
    ]
    return {row["ID"]: row for row in cells}


@pytest.fixture
def in_environment(stack: DevStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the environment of the process to the stack, as in a deployed function."""
    for name, value in stack.environment.items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("RECORDS_TABLE", stack.environment["RECORDS_TABLE"])


def test_a_key_of_the_local_stack_needs_a_known_agent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("RECORDS_TABLE", raising=False)
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    words = ("create", "--project", "p", "--agent", "nope")
    monkeypatch.setenv("AGENTS_DIR", "agents")
    assert run_command("keys", *words) == 2
    assert "there is no agent nope. Use one of: assistant, orders, support_triage" in _error(capsys)
    # The agents are those of the last start, if there was one.
    write_state(tmp_path, {"AGENTS_DIR": "examples/agent"})
    assert run_command("keys", *words) == 2
    assert "there is no agent nope. Use one of: expenses" in _error(capsys)


@pytest.mark.usefixtures("in_environment")
def test_a_key_of_a_deployed_stack_needs_a_published_agent(
    stack: DevStack,
    stores: Stores,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bucket = f"agents-{new_id()}"
    files = AgentDirectory(Path("examples/agent")).read()
    stack.client("s3").create_bucket(Bucket=bucket)
    stack.client("s3").put_object(
        Bucket=bucket, Key=BUNDLE_KEY, Body=json.dumps({"files": files}).encode()
    )
    monkeypatch.setenv("BUCKET", bucket)
    words = ("create", "--project", f"p-{bucket}", "--org", bucket, "--agent")
    assert run_command("keys", *words, "nope") == 2
    assert "Use one of: expenses" in _error(capsys)
    assert [key for key in stores.access_keys.all() if key.org_id == bucket] == []
    run(capsys, *words, "expenses@1")
    assert [key.agent for key in stores.access_keys.all() if key.org_id == bucket] == ["expenses@1"]


def _error(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().err.split())


@pytest.mark.usefixtures("in_environment")
def test_a_key_is_created_listed_and_revoked(
    stores: Stores, capsys: pytest.CaptureFixture[str]
) -> None:
    org = f"org-{new_id()}"
    words = ("--org", org, "--project", f"project-{org}", "--scope", "runs:read", "--days", "7")
    secret = run(capsys, "create", *words, "--agent", "tools").strip()
    wide = run(capsys, "create", "--org", org, "--organization").strip()

    listing = run(capsys, "list", "--org", org)
    assert secret not in listing
    assert wide not in listing
    listed = parse_rows(listing)
    key, organizations = stores.access_keys.find(secret), stores.access_keys.find(wide)
    assert key is not None
    assert organizations is not None
    assert set(listed) == {key.id, organizations.id}
    assert listed[key.id] == {
        "ID": key.id,
        "ORG": org,
        "PROJECT": f"project-{org}",
        "USER": "-",
        "AGENT": "tools",
        "SCOPES": "runs:read",
        "CREATED": key.created_at,
        "VALID UNTIL": str(key.valid_until),
        "LAST USED": "-",
        "REVOKED": "-",
    }
    assert listed[organizations.id]["PROJECT"] == "(all)"
    assert organizations.is_org_key

    assert key.id in run(capsys, "revoke", key.id)
    assert parse_rows(run(capsys, "list", "--org", org))[key.id]["REVOKED"] != "-"
    assert run_command("keys", "revoke", "key_000000000000") == 1


@pytest.mark.usefixtures("in_environment")
def test_a_project_is_assigned_to_an_organization(
    access_keys: AccessKeys, capsys: pytest.CaptureFixture[str]
) -> None:
    project = f"project-{new_id()}"
    run(capsys, "set", project, "--org", "mine")
    assert access_keys.is_project_of(project, "mine")
    assert run_command("projects", "set", project, "--org", "theirs") == 1
    assert "belongs to another organization" in capsys.readouterr().err


@pytest.mark.usefixtures("in_environment")
def test_a_key_is_rotated_with_an_overlap(table: Table, capsys: pytest.CaptureFixture[str]) -> None:
    project = f"project-{new_id()}"
    words = ("--project", project, "--org", "rotating", "--scope", "runs:read", "--days", "90")
    first = run(capsys, "create", *words, "--agent", "tools", "--user-id", "ada").strip()
    old = AccessKeys(table).find(first)
    assert old is not None
    second = run(capsys, "rotate", old.id, "--overlap-hours", "2").strip()
    new, ending = AccessKeys(table).find(second), AccessKeys(table).find(first)
    assert new is not None
    assert ending is not None
    changed = {"key_hash", "created_at", "valid_until", "last_used_at"}
    assert new.model_dump(exclude=changed) == old.model_dump(exclude=changed)
    assert new.id != old.id
    # Both are valid for two hours; the new one until the original expiry of the old one.
    assert ending.is_valid()
    assert timestamp_in(7_000) < str(ending.valid_until) < timestamp_in(7_300)
    assert timestamp_in(89.9 * 86_400) < str(new.valid_until) < timestamp_in(90.1 * 86_400)
    assert set(parse_rows(run(capsys, "list", "--org", "rotating"))) == {old.id, new.id}

    # Immediately: the old key is invalid and has no other successor.
    third = run(capsys, "rotate", new.id, "--overlap-hours", "0", "--days", "1").strip()
    ended = AccessKeys(table).find(second)
    assert ended is not None
    assert not ended.is_valid()
    assert run_command("keys", "rotate", new.id) == 1
    assert "has expired or was revoked" in capsys.readouterr().err
    assert run_command("keys", "rotate", "key_000000000000") == 1
    newest = AccessKeys(table).find(third)
    assert newest is not None
    assert str(newest.valid_until) < timestamp_in(1.1 * 86_400)


def test_an_overlap_never_makes_a_key_valid_for_longer(access_keys: AccessKeys) -> None:
    until = timestamp_in(60)
    make = partial(access_keys.save, project_id=f"p-{new_id()}", org_id="o-overlap")
    old, unlimited = make(f"ry_{new_id()}", valid_until=until), make(f"ry_{new_id()}")
    access_keys.rotate(old.id, f"ry_{new_id()}", overlap=timedelta(days=1))
    new = access_keys.rotate(unlimited.id, f"ry_{new_id()}", overlap=timedelta(days=1))
    ends = {key.id: key.valid_until for key in access_keys.all() if key.org_id == "o-overlap"}
    assert new is not None
    assert ends[old.id] == until
    assert ends[new.id] is None


@pytest.mark.usefixtures("in_environment")
def test_a_project_can_have_its_own_retention_time(
    table: Table, capsys: pytest.CaptureFixture[str]
) -> None:
    project = f"project-{new_id()}"
    words = ("set", project, "--org", "mine")
    assert "retention" not in run(capsys, *words)
    for given, expected, said in (
        ("30", 30, "30 days"),
        ("0", 0, "no limit"),
        ("default", 7, "default"),
    ):
        assert said in run(capsys, *words, "--retention-days", given)
        assert RetentionDays(table).of([project], 7) == {project: expected}


@pytest.mark.usefixtures("in_environment")
def test_a_project_can_be_capped(table: Table, capsys: pytest.CaptureFixture[str]) -> None:
    project, default = f"project-{new_id()}", Decimal(7)
    words = ("set", project, "--org", "mine")
    run(capsys, *words)
    assert ProjectLimits(table).daily_usd(project, default) == default
    said = run(capsys, *words, "--daily-usd", "12.50")
    assert f"spending of {project}: 12.50 USD a day" in said
    assert ProjectLimits(table).daily_usd(project, default) == Decimal("12.5")
    assert "no limit" in run(capsys, *words, "--daily-usd", "0")
    assert ProjectLimits(table).daily_usd(project, default) == 0


@pytest.mark.usefixtures("in_environment")
def test_a_project_can_have_its_own_limit_of_active_runs(
    table: Table, capsys: pytest.CaptureFixture[str]
) -> None:
    project, default = f"project-{new_id()}", 1000
    words = ("set", project, "--org", "mine")
    assert "active runs" not in run(capsys, *words)
    for given, expected, said in (
        ("20", 20, "20"),
        ("0", 0, "no limit"),
        ("default", default, "default"),
    ):
        said = f"active runs of {project}: {said}\n"
        assert said in run(capsys, *words, "--max-active-runs", given)
        assert ProjectLimits(table).max_active_runs(project, default) == expected


@pytest.mark.parametrize(
    "words",
    [
        ("set",),
        ("set", "p", "--max-active-runs", "-1"),
        ("set", "p", "--max-active-runs", "many"),
        ("set", "p", "--daily-usd", "-1"),
        ("set", "p", "--daily-usd", "1e3"),
        ("set", "p", "--retention-days", "-1"),
        ("rotate",),
        ("rotate", "key_000000000000", "--overlap-hours", "x"),
        ("create",),  # The owner is required.
        ("create", "--project", "p", "--organization"),
        ("create", "--project", " "),
        ("create", "--project", "p" * 257),
        ("create", "--project", "p", "--days", "0"),
        ("create", "--project", "p", "--scope", "everything"),
        ("list", "--table", "t", "--stack", "s"),
        ("revoke",),
    ],
)
def test_a_wrong_command_line_is_rejected(words: tuple[str, ...]) -> None:
    assert run_command("projects" if words[0] == "set" else "keys", *words) == 2


def test_the_command_line_and_the_service_agree_on_scopes_and_limits() -> None:
    assert set(SCOPES) == module.ALL_SCOPES
    assert parameters.MAX_NAME_LENGTH == module.MAX_NAME_LENGTH


def test_a_deployed_stacks_table_is_found_by_the_stacks_name(
    stack: DevStack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # A mock, because the local stack has no CloudFormation: call and response are those of AWS.
    import boto3

    cloudformation: Any = boto3.client("cloudformation", region_name="us-east-1")
    stubber = Stubber(cloudformation)
    table = stack.environment["RECORDS_TABLE"]
    # An output, because a restored table is not a resource of the stack.
    found = {
        "StackName": "runyard-dev",
        "CreationTime": 0,
        "StackStatus": "CREATE_COMPLETE",
        "Outputs": [{"OutputKey": "RecordsTableName", "OutputValue": table}],
    }
    stubber.add_response("describe_stacks", {"Stacks": [found]}, {"StackName": "runyard-dev"})
    clients = {"cloudformation": cloudformation, "dynamodb": stack.client("dynamodb")}
    monkeypatch.setattr(boto3, "client", clients.__getitem__)
    monkeypatch.delenv("RECORDS_TABLE", raising=False)
    with stubber:
        assert "ry_" in run(capsys, "create", "--stack", "runyard-dev", "--project", "by-name")
    stubber.assert_no_pending_responses()


def test_the_local_stack_is_the_default_whether_it_runs_or_not(
    stack: DevStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    for name in [name for name in os.environ if name.endswith("_TABLE")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    secret = run(capsys, "create", "--project", "local").strip()
    assert secret.startswith("ry_")
    with DevStack.start(data_dir=tmp_path / "data", web=False, sweep_seconds=None) as running:
        listed = parse_rows(run(capsys, "list"))
        assert {row["PROJECT"] for row in listed.values()} == {"local", "dev"}
        assert running.access_key not in str(listed)
