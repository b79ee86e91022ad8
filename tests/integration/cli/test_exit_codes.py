"""Each exit code of the command line, against the real service on loopback."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from runyard_service.adapters.stores import Stores
from runyard_service.domain.ids import new_id
from tests.support.command_line import call_service, service_variables
from tests.support.service import Service

MISSING = "00000000-0000-4000-8000-000000000000"


def start_waiting(service: Service) -> str:
    """Start a run that asks for an approval; return its id."""
    started = call_service(service, "run", "people", "-i", "case=charge", "--quiet")
    assert started.exit_code == 5
    return started.stdout.strip()


def test_0_the_run_is_completed(service: Service) -> None:
    done = call_service(service, "run", "talker", "-i", "content=Hello", "--json")
    assert done.exit_code == 0
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[-1]["type"] == "run.completed"
    assert events[-1]["data"]["output"] == {"content": ": Hello"}


def test_1_the_service_is_not_reachable() -> None:
    nowhere = Service("http://127.0.0.1:9", "ry_key")
    done = call_service(nowhere, "runs", "list")
    nowhere.close()
    assert (done.exit_code, done.stdout) == (1, "")
    assert "127.0.0.1:9" in done.stderr
    assert "`runyard whoami` shows where the URL is from" in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("runs", "list", "--state", "completed"), "No such option"),
        (("runs", "list", "--json", "--quiet"), "use only one of --json and --quiet"),
        (("run", "people", "-i", "case"), "case: must be NAME=VALUE"),
        (("run", "people", "--input", "-"), "--input: is not JSON"),
        (("run", "no-such-agent", "-i", "case=x"), "agent"),
        (("run", "support_triage", "-i", "ticket_body=x"), "ticket_subject"),
        (("runs", "list", "--session-id", "x"), "session_id"),
        (("runs", "delete", MISSING), "use --yes"),
        (("inbox", "next"), "there is no terminal"),
        (("runs", "list", "--profile", "missing"), "there is no profile 'missing'"),
        (("runs", "get", ""), "an id cannot be ''"),
        (("runs", "delete", "..", "--yes"), "an id cannot be '..'"),
        (("verify", "."), "must be a file or the id of a run"),
    ],
)
def test_2_the_command_is_wrong(service: Service, words: tuple[str, ...], message: str) -> None:
    done = call_service(service, *words, stdin="{")
    assert (done.exit_code, done.stdout) == (2, "")
    assert message in done.stderr


def test_3_the_run_has_failed(service: Service) -> None:
    done = call_service(service, "run", "talker", "-i", "content=fail")
    assert done.exit_code == 3
    assert "model_rejected" in done.stdout


def test_4_the_run_is_canceled(service: Service) -> None:
    run_id = start_waiting(service)
    assert call_service(service, "runs", "cancel", run_id).exit_code == 0
    assert call_service(service, "follow", run_id).exit_code == 4


def test_5_the_run_waits_and_no_person_is_here(service: Service) -> None:
    done = call_service(service, "run", "people", "-i", "case=charge")
    assert done.exit_code == 5
    last = done.stdout.splitlines()[-1].split("\t")
    run_id = call_service(service, "runs", "list", "--quiet", "--limit", "1").stdout.strip()
    assert f"runyard approve {run_id}\n" in done.stderr
    assert " ".join(("runyard", "refuse", run_id)) + "\n" in done.stderr
    assert f"runyard follow {run_id} --from {int(last[0]) + 1}" in done.stderr
    # Nothing more happens, so `--from` the next event also finds the open input request.
    again = call_service(service, "follow", run_id, "--from", str(int(last[0]) + 1))
    assert (again.exit_code, again.stdout) == (5, "")


@pytest.mark.parametrize(
    "words",
    [
        ("runs", "get", MISSING),
        ("follow", MISSING),
        ("approve", MISSING, "--yes"),
        ("runs", "again", MISSING),
        ("runs", "diff", MISSING, MISSING),
        ("runs", "export", MISSING),
        ("threads", "chat", MISSING),
        ("webhooks", "log", MISSING),
        ("agents", "show", "no-such-agent"),
        # An id stays one segment of the path.
        ("runs", "get", "../keys"),
        ("runs", "get", "x/../../webhooks?page_size=1"),
        ("threads", "chat", "../personas"),
        ("webhooks", "log", "../webhooks"),
    ],
    ids=" ".join,
)
def test_6_it_does_not_exist(service: Service, words: tuple[str, ...]) -> None:
    done = call_service(service, *words)
    assert (done.exit_code, done.stdout) == (6, "")


def test_6_verify_names_what_is_neither_a_file_nor_a_run(service: Service) -> None:
    done = call_service(service, "verify", "missing.jsonl")
    assert (done.exit_code, done.stdout) == (6, "")
    assert "missing.jsonl is neither a file nor a run" in done.stderr


def test_7_the_key_is_rejected(service: Service) -> None:
    stranger = Service(service.base_url, "ry_unknown")
    done = call_service(stranger, "runs", "list")
    stranger.close()
    assert (done.exit_code, done.stdout) == (7, "")
    assert "runyard whoami" in done.stderr


def test_7_the_key_lacks_the_scope(service: Service, stores: Stores) -> None:
    secret = f"ry_test_{new_id()}"
    stores.access_keys.save(
        secret, project_id=f"project-{new_id()}", org_id="org", scopes=frozenset({"runs:read"})
    )
    reader = Service(service.base_url, secret)
    assert call_service(reader, "runs", "list").exit_code == 0
    assert call_service(reader, "run", "talker", "--input", "-", stdin="{}").exit_code == 7
    reader.close()


def test_8_the_request_is_closed_already(service: Service) -> None:
    run_id = start_waiting(service)
    assert call_service(service, "approve", run_id, "--yes").exit_code == 0
    assert call_service(service, "follow", run_id).exit_code == 0
    done = call_service(service, "refuse", run_id, "--yes")
    assert (done.exit_code, done.stdout) == (8, "")
    assert "asks nothing" in done.stderr


def test_8_the_service_reports_a_conflict(service: Service) -> None:
    run_id = start_waiting(service)
    done = call_service(service, "runs", "delete", run_id, "--yes")
    assert (done.exit_code, done.stdout) == (8, "")


def _command(service: Service, *words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "runyard", *words],
        env=os.environ | service_variables(service),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_run_that_has_ended_is_not_reported_as_canceled(service: Service) -> None:
    done = call_service(service, "run", "talker", "-i", "content=Hello", "--quiet")
    canceled = call_service(service, "runs", "cancel", done.stdout.strip())
    assert canceled.exit_code == 0
    assert "is not canceled, because it has ended before: completed" in canceled.stderr


def test_9_the_time_is_up(service: Service) -> None:
    run_id = start_waiting(service)
    with _command(service, "follow", run_id, "--wait", "--timeout", "0.5", "--json") as process:
        stdout, stderr = process.communicate()
    assert process.returncode == 9
    events = [json.loads(line)["sequence"] for line in stdout.splitlines()]
    assert stderr.endswith(f"runyard follow {run_id} --from {len(events) + 1}\n")


def test_130_ctrl_c_and_from_repeat_no_event(service: Service) -> None:
    words = ("run", "talker", "-i", "content=slowly", "--json")
    with _command(service, *words) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(20)]
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        # Not `communicate`, which misses what `readline` has buffered.
        rest, stderr = process.stdout.read(), process.stderr.read()
    assert process.returncode == 130
    seen = [json.loads(line) for line in [*lines, *rest.splitlines()]]
    found = re.search(r"runyard follow (\S+) --from (\d+)", stderr)
    assert found, stderr
    with _command(service, "follow", found[1], "--from", found[2], "--json") as process:
        stdout, _ = process.communicate()
    assert process.returncode == 0
    seen += [json.loads(line) for line in stdout.splitlines()]
    assert [event["sequence"] for event in seen] == list(range(1, len(seen) + 1))
    assert seen == service.events(found[1])


@pytest.mark.parametrize(
    "draw", [lambda run_id: ("follow", run_id), lambda run_id: ("runs", "get", run_id)]
)
def test_a_closed_pipe_is_no_traceback(
    service: Service, draw: Callable[[str], tuple[str, ...]]
) -> None:
    run_id = start_waiting(service)
    with _command(service, *draw(run_id)) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        stderr = process.stderr.read()
    assert "Traceback" not in stderr
