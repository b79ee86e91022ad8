"""Test the metrics of the real handlers against the event logs."""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from runyard_dev.access_key import ORG_ID
from runyard_dev.dev_stack import DevStack
from runyard_service.adapters.stores import Stores
from runyard_service.domain.clock import timestamp
from runyard_service.domain.ids import new_id
from runyard_service.observability import metrics
from runyard_service.observability.metrics import MEASURES, LogFields
from tests.support.metric_log import MetricLog, total
from tests.support.service import TERMINAL, Service

CHARGED = {"ticket_subject": "Twice", "ticket_body": "I was charged twice. My word is heliotrope."}


@pytest.fixture(scope="module")
def metric_log(stack: DevStack) -> MetricLog:
    return MetricLog(stack.logs)


@pytest.fixture
def project(stack: DevStack, stores: Stores) -> Iterator[Service]:
    """Yield a service of a new project, with a cap far above the cost of its runs."""
    name, secret = f"measured-{new_id()}", f"ry_{new_id()}"
    stores.access_keys.save(secret, project_id=name, org_id=ORG_ID, agent="money")
    stores.project_limits.set_daily_usd(name, Decimal(1000))
    running = Service(stack.base_url, secret)
    yield running
    running.close()


def run_ids(service: Service) -> list[str]:
    """Run the sample agent to every kind of end; return the ids of the runs."""
    refund, answered, left = (
        service.create(run_input, background=True)["id"]
        for run_input in (CHARGED, {"ticket_subject": "Help"}, {"ticket_subject": "Hello"})
    )
    straight = service.create({"ticket_subject": "Export is broken"})["id"]
    looked_up = service.create({"ticket_subject": "Slow", "customer_id": "customer-503"})["id"]
    failing = service.create({"ticket_subject": "The model fails"})["id"]
    service.answer(service.wait(refund, "awaiting_input"), is_approved=True)
    service.answer(service.wait(answered, "awaiting_input"), feedback="account")
    service.wait(left, "awaiting_input")
    assert service.http.post(f"/v1/runs/{left}/cancel").status_code in (200, 202)
    runs = [refund, answered, left, straight, looked_up, failing]
    for run_id in runs:
        service.wait(run_id, "completed", "failed", "canceled")
    return runs


def test_metric_sums_match_the_event_logs(service: Service, metric_log: MetricLog) -> None:
    runs = run_ids(service)
    metric_log.wait(lambda line: line.get("run_id") in runs and "RunsEnded" in line, len(runs))
    lines = metric_log.lines(lambda line: line.get("run_id") in runs)
    events = [event for run_id in runs for event in service.events(run_id)]
    types = Counter(event["type"] for event in events)
    ended = {kind: types[kind] for kind in TERMINAL}

    assert ended == {"run.completed": 4, "run.failed": 1, "run.canceled": 1}
    assert total(lines, metrics.RUNS_ACCEPTED) == len(runs)
    assert total(lines, metrics.RUNS_STARTED) == types["run.started"]
    assert total(lines, metrics.RUNS_ENDED) == sum(ended.values())
    for kind, count in ended.items():
        outcome = kind.removeprefix("run.")
        assert total(lines, metrics.RUNS_ENDED, Outcome=outcome) == count
    assert total(lines, metrics.RUNS_ENDED, Agent="support_triage") == len(runs)
    assert total(lines, metrics.RUNS_FAILED) == 1
    assert total(lines, metrics.RUNS_PAUSED) == types["run.paused"] == 3
    answers = types["approval_request.resolved"] + types["agent.human_feedback.received"]
    assert total(lines, metrics.ANSWERS, Outcome="received") == answers == 2
    for outcome in ("completed", "failed"):
        calls = types[f"agent.tool_call.{outcome}"]
        assert total(lines, metrics.TOOL_CALLS, Outcome=outcome) == calls
    assert total(lines, metrics.RUNS_RECOVERED) == types["run.recovered"]
    for measure, key in (
        (metrics.INPUT_TOKENS, "input_tokens"),
        (metrics.OUTPUT_TOKENS, "output_tokens"),
    ):
        used = sum(event["data"].get("usage", {}).get(key, 0) for event in responses(events))
        assert total(lines, measure) == used


def responses(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for event in events if event["type"] == "agent.message.completed"]


def test_every_duration_is_emitted_once(service: Service, metric_log: MetricLog) -> None:
    run = service.create(CHARGED, background=True)["id"]
    service.answer(service.wait(run, "awaiting_input"), is_approved=True)
    service.wait(run, "completed")
    metric_log.wait(lambda line: line.get("run_id") == run and "RunsEnded" in line)
    lines = metric_log.of_run(run)

    def counted(*names: metrics.Metric) -> list[int]:
        return [sum(measure.name in line for line in lines) for measure in names]

    # Three responses; the call of the second waits for a person, so this step is not emitted.
    assert counted(metrics.MODEL_DURATION, metrics.TOOL_DURATION, metrics.STEP_DURATION) == [
        3,
        2,
        2,
    ]
    once = (
        metrics.TIME_TO_FIRST_EVENT,
        metrics.WAIT_DURATION,
        metrics.ANSWER_TO_RESUME,
        metrics.RUN_DURATION,
    )
    assert counted(*once) == [1, 1, 1, 1]
    [whole] = [line["RunDuration"] for line in lines if "RunDuration" in line]
    assert 0 < sum(line.get("StepDuration", 0) for line in lines) < whole
    assert [line["step"] for line in lines if "StepDuration" in line] == [1, 3]


def test_model_costs_and_the_share_of_the_daily_cap_are_emitted(
    project: Service, metric_log: MetricLog
) -> None:
    today = timestamp()[:10]
    run = project.create({"case": "two steps"}, background=True)["id"]
    usage = project.wait(run, "completed")["usage"]
    metric_log.wait(lambda line: line.get("run_id") == run and "DailySpendShare" in line, 2)
    lines = metric_log.of_run(run)
    assert total(lines, metrics.COST_USD) == pytest.approx(usage["cost_usd"], rel=1e-12)
    assert total(lines, metrics.COST_USD, Agent="money") == total(lines, metrics.COST_USD)
    assert total(lines, metrics.CACHED_INPUT_TOKENS) == usage["cached_input_tokens"]
    first, second = (line for line in lines if "DailySpendShare" in line)
    [step, _] = (line for line in lines if "CostUsd" in line)
    if timestamp()[:10] == today:
        assert (first["spent_usd"], second["spent_usd"]) == (0, step["CostUsd"])
        for line in (first, second):
            # The maximum cost of the response is held.
            assert line["DailySpendShare"] > line["spent_usd"] / line["cap_usd"] * 100


def test_metrics_are_emitted_when_streams_open_and_close(
    service: Service, metric_log: MetricLog
) -> None:
    run = service.create({"ticket_subject": "Help"})["id"]
    with service.http.stream("GET", f"/v1/runs/{run}/stream") as stream:
        assert next(stream.iter_lines())
    metric_log.wait(lambda line: line.get("run_id") == run and "StreamsClosed" in line)
    service.answer(service.run(run), feedback="account")
    assert list(service.stream(run))
    metric_log.wait(lambda line: line.get("run_id") == run and "StreamsClosed" in line, 2)
    lines = metric_log.of_run(run)
    assert total(lines, metrics.STREAMS_OPENED) == total(lines, metrics.STREAMS_CLOSED) == 2
    assert total(lines, metrics.STREAMS_CLOSED, Outcome="disconnected") == 1
    assert total(lines, metrics.STREAMS_CLOSED, Outcome="ended") == 1
    assert total(lines, metrics.STREAMS_DISCONNECTED) == 1


def test_request_log_lines_have_the_run_id(service: Service, metric_log: MetricLog) -> None:
    created = service.http.post("/v1/runs", json={"input": {"ticket_subject": "Hello"}})
    asked = created.json()["data"]
    answered = service.answer(asked, feedback="account")
    service.wait(asked["id"], "completed")
    metric_log.wait(lambda line: line.get("run_id") == asked["id"] and "Answers" in line)
    lines = {line["message"]: line for line in metric_log.of_run(asked["id"])}
    assert lines["run accepted"]["request_id"] == created.headers["X-Request-Id"]
    assert lines["answer received"]["request_id"] == answered.headers["X-Request-Id"]
    assert "request_id" not in lines["run started"]


def test_a_rejected_key_is_logged_without_the_key(stack: DevStack, metric_log: MetricLog) -> None:
    secret = f"ry_{new_id()}"
    with_it = {"Authorization": f"Bearer {secret}"}
    answer = Service(stack.base_url, secret)
    response = answer.http.get("/v1/runs", headers=with_it)
    answer.close()
    assert response.status_code == 401
    request_id = response.headers["X-Request-Id"]
    metric_log.wait(lambda line: line.get("request_id") == request_id)
    [line] = metric_log.lines(lambda line: line.get("request_id") == request_id)
    assert (line["KeysRejected"], line["reason"], line["key_id"]) == (1, "unknown", "")
    assert secret not in everything(stack)


def test_every_sweep_emits_the_number_of_orphaned_runs(
    stack: DevStack, metric_log: MetricLog
) -> None:
    before = len(metric_log.lines(lambda line: "RunsOrphaned" in line))
    stack.sweep({})
    metric_log.wait(lambda line: "RunsOrphaned" in line, before + 1)


def test_no_metric_line_contains_content_of_a_run(
    service: Service, stack: DevStack, metric_log: MetricLog
) -> None:
    run = service.create(CHARGED, background=True)["id"]
    service.answer(service.wait(run, "awaiting_input"), is_approved=False, feedback="amaranthine")
    output = service.wait(run, "completed")["output"]
    metric_log.wait(lambda line: line.get("run_id") == run and "RunsEnded" in line)
    logs = everything(stack)
    for content in ("heliotrope", "amaranthine", output["suggested_reply"], stack.access_key):
        assert content not in logs


def everything(stack: DevStack) -> str:
    return "".join(file.read_text(errors="replace") for file in stack.logs.glob("*.log"))


def test_metrics_are_emitted_as_declared(service: Service, metric_log: MetricLog) -> None:
    run = service.create({"ticket_subject": "Export is broken"})["id"]
    metric_log.wait(lambda line: line.get("run_id") == run and "RunsEnded" in line)
    for line in metric_log.lines(lambda line: True):
        [metrics] = line["_aws"]["CloudWatchMetrics"]
        assert metrics["Namespace"] == "Runyard"
        for metric in metrics["Metrics"]:
            measure = MEASURES[metric["Name"]]
            assert measure.unit == metric["Unit"]
            by = [["Stack"], *(["Stack", name] for name in measure.by)]
            assert metrics["Dimensions"] == by, measure
            assert isinstance(line[measure.name], int | float)
        keys = line.keys() - {"_aws", "Stack", "Agent", "Outcome", "level", "message", *MEASURES}
        assert keys <= LogFields.__annotations__.keys()
