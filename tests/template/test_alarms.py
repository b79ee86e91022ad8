"""Alarms, dashboard, code and pages agree: each watched metric is emitted and has a page."""

import json
import re
from collections.abc import Iterator
from typing import Any, get_args

import pytest

from runyard_dev.template.cloudformation import Resolver, load_document
from runyard_service.observability.metrics import MEASURES, Dimension, LogFields
from tests.template.repository import FUNCTIONS, ROOT, Translated

PAGES = (ROOT / "docs" / "how-to" / "operations.md").read_text()

# The watched metrics of AWS, each with its dimension.
AWS_METRICS = {
    "AWS/ApiGateway": {"ApiId": {"5xx", "4xx", "Count", "Latency"}},
    "AWS/Lambda": {"FunctionName": {"Errors", "Throttles", "ConcurrentExecutions", "IteratorAge"}},
    "AWS/SQS": {"QueueName": {"ApproximateNumberOfMessagesVisible"}},
    "AWS/States": {
        "StateMachineArn": {
            "ExecutionsStarted",
            "ExecutionsFailed",
            "ExecutionsTimedOut",
            "ExecutionThrottled",
        }
    },
}
ALARMS = {
    "AppendConflictsHigh",
    "DailyCapNearlyReached",
    "ApiServerErrors",
    "EventPublishingDelayed",
    "EventPublishingDeadLetters",
    "KeysRejected",
    "RunsStuck",
    "CloseRunErrors",
    "RunsFailing",
    "StepLatencyHigh",
    "StreamFunctionErrors",
    "StreamsDisconnected",
    "WebhookDeadLetters",
    "RunStepThrottled",
}

# Fields of log lines from Powertools and from log records, besides the fields of a metric.
LOG_FIELDS = {"level", "message", "error", "path", "exception_name", "@timestamp", "@message"}
LOG_FIELDS |= {"stream_record", "webhook_id", "delivery_id", "status_code"}
FIELDS = LOG_FIELDS | set(LogFields.__annotations__) | set(get_args(Dimension)) | set(MEASURES)
# Words of the query language in the position of a field.
WORDS = {
    *("fields", "filter", "stats", "sort", "limit", "by", "as", "in", "and", "or", "not", "like"),
    *("desc", "asc", "ispresent", "count", "earliest", "latest", "min", "max", "sum", "pct", "bin"),
}


def is_known(namespace: str, name: str, dimensions: dict[str, Any]) -> bool:
    """Return True if the code or AWS emits this metric with these dimensions."""
    if namespace == "Runyard":
        by = [{"Stage"}, *({"Stage", dimension} for dimension in MEASURES[name].by)]
        return set(dimensions) in by
    [dimension] = dimensions
    return name in AWS_METRICS[namespace][dimension]


def test_the_template_has_exactly_these_alarms(translated: Translated) -> None:
    assert set(translated.of_type("AWS::CloudWatch::Alarm")) == ALARMS


@pytest.mark.parametrize("alarm", sorted(ALARMS))
def test_an_alarm_watches_a_metric_that_is_emitted(translated: Translated, alarm: str) -> None:
    properties = translated.properties(alarm)
    dimensions = {entry["Name"]: entry["Value"] for entry in properties["Dimensions"]}
    assert is_known(properties["Namespace"], properties["MetricName"], dimensions)
    if properties["Namespace"] == "Runyard":
        assert dimensions == {"Stage": {"Ref": "Stage"}}
    # Without errors, every metric except RunsOrphaned has no data; RunsOrphaned is emitted as 0.
    is_always_emitted = properties["MetricName"] == "RunsOrphaned"
    assert properties["TreatMissingData"] == ("breaching" if is_always_emitted else "notBreaching")


TOPIC = "arn:aws:sns:us-east-1:123456789012:ops"


@pytest.mark.parametrize(
    ("parameters", "topic_count"),
    [
        ({}, 0),
        ({"AlarmTopicArn": TOPIC}, 1),
        ({"AlarmEmail": "ops@example.com"}, 1),
        ({"AlarmTopicArn": TOPIC, "AlarmEmail": "ops@example.com"}, 2),
    ],
)
def test_an_alarm_notifies_the_topic_and_the_address_of_the_parameters(
    parameters: dict[str, str], topic_count: int
) -> None:
    document = load_document(ROOT / "template.yaml")
    resolver = Resolver(document, stack_name="s", parameters=parameters)
    own = resolver.reference("AlarmTopic")
    topics = {TOPIC: "AlarmTopicArn" in parameters, own: "AlarmEmail" in parameters}
    expected = [topic for topic, is_expected in topics.items() if is_expected]
    assert len(expected) == topic_count
    for alarm in ALARMS:
        properties = resolver.resolve(document["Resources"][alarm]["Properties"])
        assert properties["AlarmActions"] == expected, alarm
    topic = document["Resources"]["AlarmTopic"]
    assert resolver.is_active(topic) == ("AlarmEmail" in parameters)
    (subscription,) = resolver.resolve(topic["Properties"])["Subscription"]
    assert subscription["Protocol"] == "email"
    assert subscription["Endpoint"] == parameters.get("AlarmEmail", "")


def test_every_function_that_emits_metrics_has_its_stage(translated: Translated) -> None:
    for function in set(FUNCTIONS) - {"PublishAgentsFunction"}:
        assert translated.variables(function)["STAGE"] == {"Ref": "Stage"}, function


def dashboard_metrics(translated: Translated) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield namespace, name and dimensions of each line of each graph, without abbreviations."""
    text = translated.properties("Dashboard")["DashboardBody"]["Fn::Sub"]
    for widget in json.loads(text)["widgets"]:
        before: list[str] = []
        for row in widget["properties"].get("metrics", []):
            words = [word for word in row if isinstance(word, str)]
            if words[0] == "...":
                words = before[: len(before) - len(words) + 1] + words[1:]
            words = [before[at] if word == "." else word for at, word in enumerate(words)]
            before = words
            namespace, name, *rest = words
            yield namespace, name, dict(zip(rest[::2], rest[1::2], strict=True))


def test_the_dashboard_shows_exactly_the_emitted_metrics(translated: Translated) -> None:
    metrics = list(dashboard_metrics(translated))
    assert [line for line in metrics if not is_known(*line)] == []
    assert {name for namespace, name, _ in metrics if namespace == "Runyard"} == set(MEASURES)


def test_the_dashboard_names_every_alarm_and_only_existing_resources(
    translated: Translated,
) -> None:
    text = translated.properties("Dashboard")["DashboardBody"]["Fn::Sub"]
    assert set(re.findall(r"\$\{(\w+)\.Arn\}", text)) == ALARMS
    named = set(re.findall(r"\$\{(\w+)\}", text)) - {"Stage"}
    assert named <= set(translated.document["Resources"])


def test_graphs_do_not_overlap(translated: Translated) -> None:
    text = translated.properties("Dashboard")["DashboardBody"]["Fn::Sub"]
    taken: set[tuple[int, int]] = set()
    for widget in json.loads(text)["widgets"]:
        columns = range(widget["x"], widget["x"] + widget["width"])
        rows = range(widget["y"], widget["y"] + widget["height"])
        cells = {(column, row) for column in columns for row in rows}
        assert max(columns) < 24
        assert not cells & taken, widget["properties"]["title"]
        taken |= cells


def page_of(alarm: str) -> str:
    """Return the section about the alarm."""
    [_, page] = PAGES.split(f"\n## {alarm}\n")
    return page.partition("\n## ")[0]


@pytest.mark.parametrize("alarm", sorted(ALARMS))
def test_an_alarm_has_a_complete_page(alarm: str) -> None:
    parts = re.findall(r"^\*\*(.+?)\*\*", page_of(alarm), re.MULTILINE)
    headings = ["What it means", "First query", "What to do", "Whom to wake"]
    # A section whose last step is a decision has no commands.
    assert [part.rstrip(".,:") for part in parts] in (headings, [*headings, "Commands"])
    assert f"| [`{alarm}`](#{alarm.lower()}) |" in PAGES


def test_every_page_is_about_an_existing_alarm() -> None:
    pages = set(re.findall(r"^## (\w+)$", PAGES, re.MULTILINE))
    assert pages - {"Traces"} == ALARMS


def first_query(alarm: str) -> str:
    found = re.search(r"\*\*First query\*\*.*?```\w*\n(.*?)```", page_of(alarm), re.DOTALL)
    assert found
    return found[1]


@pytest.mark.parametrize("alarm", sorted(ALARMS - {"RunStepThrottled"}))
def test_a_first_query_uses_logged_fields(alarm: str) -> None:
    query = first_query(alarm)
    own = set(re.findall(r"\bas (\w+)", query))
    bare = re.sub(r'"[^"]*"|/[^/]*/|\b\d+m?\b', "", query)
    names = set(re.findall(r"@?[A-Za-z_]\w*", bare)) - WORDS - own
    assert names
    assert names - FIELDS == set()


def test_every_message_in_a_query_exists_in_the_code() -> None:
    messages = set(re.findall(r'message = "([^"]+)"', PAGES))
    for several in re.findall(r"message in \[(.*?)\]", PAGES):
        messages |= set(re.findall(r'"([^"]+)"', several))
    code = "\n".join(file.read_text() for file in (ROOT / "layers" / "core").rglob("*.py"))
    assert len(messages) > 5
    assert [message for message in messages if f'"{message}"' not in code] == []


def test_the_page_of_metrics_is_complete() -> None:
    expected = {
        f"| `{measure.name}` | {'USD' if measure.unit == 'None' else measure.unit} "
        f"| {', '.join(measure.by) or '-'} |"
        for measure in MEASURES.values()
    }
    table = PAGES.split("\n## What is measured\n")[1]
    rows = {match[0] for match in re.finditer(r"^\| `\w+` \| \w+ \| [^|]* \|", table, re.MULTILINE)}
    assert rows == expected
