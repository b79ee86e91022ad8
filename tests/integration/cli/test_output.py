"""What commands print: JSON as openapi.json describes it, tabs in a pipe, ids; nothing else."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator

from tests.support.command_line import call_service
from tests.support.service import Service

DOCUMENT = json.loads(Path("openapi.json").read_text(encoding="utf-8"))


def validator_of(path: str, method: str, status: str) -> Draft202012Validator:
    """Return the validator of a response that openapi.json describes."""
    content = DOCUMENT["paths"][path][method]["responses"][status]["content"]
    return Draft202012Validator({**DOCUMENT, **content["application/json"]["schema"]})


EVENT = Draft202012Validator({**DOCUMENT, "$ref": "#/components/schemas/Event"})


@pytest.fixture(scope="module")
def waiting(service: Service) -> str:
    """Return the id of a run that waits for an approval."""
    run = service.create({"case": "charge"}, agent="people")
    assert run["status"] == "awaiting_input"
    return str(run["id"])


@pytest.fixture(scope="module")
def thread(service: Service) -> str:
    """Return the id of a thread."""
    return call_service(service, "threads", "new", "--title", "Invoice", "-q").stdout.strip()


def test_json_is_what_the_api_returns(service: Service, waiting: str, thread: str) -> None:
    webhook = call_service(service, "webhooks", "add", "https://example.com/", "-q").stdout.strip()
    operations = [
        (("runs", "list", "--limit", "2"), "/v1/runs", "get", "200"),
        (("runs", "get", waiting), "/v1/runs/{run_id}", "get", "200"),
        (("runs", "again", waiting, "--detach"), "/v1/runs", "post", "202"),
        (("run", "talker", "-i", "content=x", "--detach"), "/v1/runs", "post", "202"),
        (("inbox",), "/v1/input-requests", "get", "200"),
        (("approve", waiting, "--yes"), "/v1/runs/{run_id}/input", "post", "200"),
        (("threads", "list"), "/threads/v1/threads", "get", "200"),
        (("threads", "new"), "/threads/v1/threads", "post", "201"),
        (("webhooks", "list"), "/v1/webhooks", "get", "200"),
        (("webhooks", "add", "https://example.com/2"), "/v1/webhooks", "post", "201"),
        (("webhooks", "test", webhook), "/v1/webhooks/{webhook_id}/test", "post", "202"),
        (("webhooks", "log", webhook), "/v1/webhooks/{webhook_id}/deliveries", "get", "200"),
        (
            ("webhooks", "rotate", webhook),
            "/v1/webhooks/{webhook_id}/rotate-secret",
            "post",
            "200",
        ),
        (("webhooks", "enable", webhook), "/v1/webhooks/{webhook_id}", "patch", "200"),
    ]
    for words, *operation in operations:
        done = call_service(service, *words, "--json")
        assert (done.exit_code, done.stderr) == (0, ""), words
        validator_of(*operation).validate(json.loads(done.stdout))
    for created in json.loads(call_service(service, "webhooks", "list", "--json").stdout)["data"]:
        service.http.delete(f"/v1/webhooks/{created['id']}")


def test_json_of_a_list_is_the_body_of_the_response(service: Service) -> None:
    query = "page_size=3&status=completed&sort=started_at"
    words = ("--limit", "3", "--status", "completed", "--sort", "started_at")
    done = call_service(service, "runs", "list", *words, "--json")
    assert done.stdout == service.http.get(f"/v1/runs?{query}").text + "\n"


def test_json_of_a_stream_is_one_event_a_line(service: Service) -> None:
    done = call_service(service, "run", "talker", "-i", "content=Hello", "--json")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    for event in events:
        EVENT.validate(event)
    assert events == service.events(events[0]["data"]["id"])
    assert done.stderr == ""


def test_a_pipe_gets_tabs(service: Service) -> None:
    done = call_service(service, "run", "talker", "-i", "content=a\tb\x1b[2J")
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert {len(row) for row in rows} == {5}
    assert rows[0][2:] == ["run.started", "", rows[0][4]]
    assert rows[-1][4] == '{"content":": a\\tb\\u001b[2J"}'
    [listed] = call_service(service, "runs", "list", "--limit", "1").stdout.splitlines()
    assert listed.split("\t")[:3] == [rows[0][4], "completed", "talker@1"]
    assert done.stderr == ""


def test_quiet_prints_only_ids(service: Service) -> None:
    done = call_service(service, "run", "talker", "-i", "content=Hello", "--quiet")
    run_id = done.stdout.removesuffix("\n")
    assert service.run(run_id)["status"] == "completed"
    listed = call_service(service, "runs", "list", "--quiet", "--limit", "2").stdout.splitlines()
    assert listed[0] == run_id
    assert call_service(service, "runs", "get", run_id, "--quiet").stdout == f"{run_id}\n"


def test_the_input_has_the_types_of_the_schema_and_of_the_file(
    service: Service, tmp_path: Path
) -> None:
    file = tmp_path / "input.json"
    file.write_text('{"ticket_subject": "From the file", "ticket_body": "b"}', encoding="utf-8")
    attachment = tmp_path / "invoice.txt"
    attachment.write_text("An invoice", encoding="utf-8")
    words = ("-i", "ticket_subject=42", "--input", str(file), "--file", str(attachment))
    done = call_service(service, "run", "support_triage", *words, "--user-id", "jo", "--quiet")
    run = service.run(done.stdout.strip())
    # A string, as the schema of the agent says.
    assert run["input"]["ticket_subject"] == "42"
    assert run["input"]["ticket_body"] == "b"
    assert run["user_id"] == "jo"


def test_again_changes_a_field_and_diff_shows_it(service: Service) -> None:
    first = service.create({"content": "one"}, agent="talker")["id"]
    done = call_service(service, "runs", "again", first, "-i", "content=two", "--quiet")
    assert done.exit_code == 0
    second = done.stdout.strip()
    assert service.run(second)["input"] == {"content": "two"}
    printed = call_service(service, "runs", "diff", first, second).stdout.splitlines()
    assert '-    "content": "one"' in printed
    assert '+    "content": "two"' in printed
    assert call_service(service, "runs", "diff", first, first).stdout == ""
    both = json.loads(call_service(service, "runs", "diff", first, second, "--json").stdout)
    assert [each["run"]["id"] for each in both] == [first, second]


def test_an_export_is_whole_and_verified(service: Service, tmp_path: Path) -> None:
    run_id = service.create({"content": "one"}, agent="talker")["id"]
    file = tmp_path / "run.jsonl"
    assert call_service(service, "runs", "export", run_id, "--output", str(file)).exit_code == 0
    expected = service.http.get(f"/v1/runs/{run_id}/export").content
    assert file.read_bytes() == expected
    assert call_service(service, "runs", "export", run_id).stdout_bytes == expected
    for target in (str(file), run_id):
        done = call_service(service, "verify", target)
        assert done.exit_code == 0, done.output
        assert "1 runs (1 completed)" in done.stdout
    file.write_bytes(b"\n".join(expected.splitlines()[:-1]))
    assert call_service(service, "verify", str(file)).exit_code == 1


@pytest.mark.parametrize(
    ("case", "text", "output"),
    [
        ("address", '{"city": "Rome", "zip": "00100"}', "To Rome."),
        ("own form", '{"amount": 3}', "3."),
    ],
)
def test_a_form_is_answered_with_json(service: Service, case: str, text: str, output: str) -> None:
    run = service.create({"case": case}, agent="people")
    done = call_service(service, "answer", run["id"], text)
    assert done.exit_code == 0, done.stderr
    assert service.wait(run["id"], "completed", "failed")["output"] == {"content": output}


def test_one_of_several_input_requests_is_chosen(service: Service) -> None:
    run = service.create({"case": "two input requests"}, agent="people")
    first, second = run["input_requests"]
    undecided = call_service(service, "answer", run["id"], "x")
    assert undecided.exit_code == 2
    assert {first["id"], second["id"]} <= set(undecided.stderr.split())
    assert call_service(service, "answer", run["id"], "a", "--request", second["id"]).exit_code == 0
    assert call_service(service, "answer", run["id"], "--decline").exit_code == 0
    assert service.wait(run["id"], "completed")["output"] == {"content": "Thank you."}


def test_an_approval_with_a_changed_param(service: Service) -> None:
    run = service.create({"case": "charge"}, agent="people")
    rejected = call_service(service, "approve", run["id"], "--set", "order_id=x", "--yes")
    assert rejected.exit_code == 2
    assert "order_id: cannot be changed. You can change: amount" in rejected.stderr
    call_service(service, "approve", run["id"], "--set", "amount=7.5", "--yes")
    service.wait(run["id"], "completed")
    [call] = [e for e in service.events(run["id"]) if e["type"] == "agent.tool_call.completed"]
    assert call["data"]["input"] == {"order_id": "Ä-1", "amount": 7.5}


def test_a_denial_has_a_reason(service: Service) -> None:
    run = service.create({"case": "charge"}, agent="people")
    words = ("--reason", "too much", "--yes")
    assert call_service(service, "refuse", run["id"], *words).exit_code == 0
    assert "too much" in service.wait(run["id"], "completed")["output"]["content"]


def test_a_chat_without_a_terminal_answers_each_line(service: Service, thread: str) -> None:
    words = ("threads", "chat", thread, "--persona", "talker")
    done = call_service(service, *words, stdin="Hello\n\nAgain\n")
    assert done.exit_code == 0
    assert done.stdout == "  1: Hello\n  3: Again\n"
    again = call_service(service, *words, stdin="")
    assert "> Again\n  3: Again\n" in again.stderr


def _ids(result: Any) -> list[str]:
    return [row.split("\t")[1] for row in result.stdout.splitlines()]


def test_the_inbox_has_the_oldest_input_request_first(service: Service) -> None:
    older = service.create({"case": "charge"}, agent="people")
    newer = service.create({"case": "charge"}, agent="people")
    ids = _ids(call_service(service, "inbox"))
    expected = [run["input_requests"][0]["id"] for run in (older, newer)]
    assert [each for each in ids if each in expected] == expected
    for run in (older, newer):
        call_service(service, "runs", "cancel", run["id"])
