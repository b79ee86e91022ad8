"""Both clients have the same interface, and it fits the API's document."""

import inspect
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import runyard
from runyard.client import account_models, models
from runyard.client.aio import account as async_account
from runyard.client.aio.client import AsyncRunyard
from runyard.client.aio.runs import AsyncRuns
from runyard.client.aio.threads import AsyncChat, AsyncThreads
from runyard.client.aio.webhooks import AsyncWebhooks
from runyard.client.records import Record
from runyard.client.sync import account
from runyard.client.sync.client import Runyard
from runyard.client.sync.runs import Runs
from runyard.client.sync.threads import Chat, Threads
from runyard.client.sync.webhooks import Webhooks

SCHEMAS = json.loads(Path("openapi.json").read_text(encoding="utf-8"))["components"]["schemas"]

PAIRS: list[tuple[type, type]] = [
    (Runyard, AsyncRunyard),
    (Runs, AsyncRuns),
    (Threads, AsyncThreads),
    (Chat, AsyncChat),
    (Webhooks, AsyncWebhooks),
    (account.InputRequests, async_account.AsyncInputRequests),
    (account.Files, async_account.AsyncFiles),
    (account.Agents, async_account.AsyncAgents),
    (account.Keys, async_account.AsyncKeys),
    (account.Usage, async_account.AsyncUsage),
]


def parameters(owner: type, name: str) -> list[tuple[str, Any, Any]]:
    """Return the name, the kind and the default of each parameter."""
    signature = inspect.signature(getattr(owner, name))
    return [(each.name, each.kind, each.default) for each in signature.parameters.values()]


@pytest.mark.parametrize(("blocking", "asynchronous"), PAIRS)
def test_both_clients_have_the_same_methods(blocking: type, asynchronous: type) -> None:
    names = {name for name in vars(blocking) if not name.startswith("_")}
    assert names == {name for name in vars(asynchronous) if not name.startswith("_")}
    for name in names:
        if not isinstance(vars(blocking)[name], property):
            assert parameters(blocking, name) == parameters(asynchronous, name), name


# A schema of the document, and the record that has its fields.
RECORDS: list[tuple[str, type[Record]]] = [
    ("Run", models.Run),
    ("Author", models.Author),
    ("Me", account_models.Me),
    ("Agent", account_models.Agent),
    ("UsageRow", account_models.UsageRow),
    ("AccessKey", account_models.Key),
    ("Usage", models.Usage),
    ("InputRequest", models.InputRequest),
    ("Thread", models.Thread),
    ("ThreadMessage", models.Message),
    ("Webhook", models.Webhook),
    ("Delivery", models.Delivery),
]


@pytest.mark.parametrize(("schema", "record"), RECORDS)
def test_a_record_has_the_fields_of_its_schema(schema: str, record: type[Record]) -> None:
    names = {field.metadata.get("key") or field.name for field in fields(record)}
    assert names >= set(SCHEMAS[schema]["properties"])


def test_a_record_accepts_unknown_and_missing_fields() -> None:
    run = models.Run.parse({"id": "r", "status": "completed", "added_later": [1]})
    assert (run.id, run.input_requests, run.error) == ("r", (), None)
    assert run.raw["added_later"] == [1]


def test_secrets_are_in_no_repr() -> None:
    secret = "whsec_c2VjcmV0"
    webhook = models.Webhook.parse({"id": "w", "events": ["*"], "secret": secret})
    key = account_models.Key.parse({"id": "key_1", "secret": secret, "key": secret})
    assert webhook.secret == secret
    for record in (webhook, key):
        assert secret not in repr(record)


@pytest.mark.parametrize("name", runyard.__all__)
def test_every_public_name_exists(name: str) -> None:
    assert getattr(runyard, name) is not None


def test_an_unknown_name() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Client'"):
        _ = runyard.Client
