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

# The watched metrics of AWS, by namespace and dimensions.
AWS_METRICS = {
    "AWS/ApiGateway": {"ApiId": {"5xx", "4xx", "Count", "Latency"}},
    "AWS/DynamoDB": {"Operation, TableName": {"ThrottledRequests"}},
    "AWS/Lambda": {
        "": {"ClaimedAccountConcurrency"},
        "FunctionName": {"Errors", "Throttles", "ConcurrentExecutions", "IteratorAge"},
    },
    "AWS/SQS": {
        "QueueName": {
            "ApproximateAgeOfOldestMessage",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesVisible",
        }
    },
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
    "AccountConcurrencyHigh",
    "AppendConflictsHigh",
    "DailyCapNearlyReached",
    "ApiServerErrors",
    "EventPublishingDelayed",
    "EventPublishingDeadLetters",
    "EventPublishingStopped",
    "ExecutionsFailed",
    "FunctionsThrottled",
    "KeysRejected",
    "RunsStuck",
    "CloseRunErrors",
    "RunsFailing",
    "StepLatencyHigh",
    "StreamFunctionErrors",
    "StreamsDisconnected",
    "TablesThrottled",
    "WebhookDeadLetters",
    "WebhookMessagesInFlight",
    "WebhooksDelayed",
    "RunStepThrottled",
}
# Alarms on AWS's own numbers, whose first query is a command.
ASKED_IN_A_SHELL = {
    *("AccountConcurrencyHigh", "FunctionsThrottled", "RunStepThrottled", "TablesThrottled"),
    *("EventPublishingStopped", "WebhookMessagesInFlight", "WebhooksDelayed"),
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
        by = [{"Stack"}, *({"Stack", dimension} for dimension in MEASURES[name].by)]
        return set(dimensions) in by
    return name in AWS_METRICS[namespace][", ".join(sorted(dimensions))]


def watched_metrics(properties: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield namespace, name and dimensions of each metric of an alarm, also in an expression."""
    queries = [query["MetricStat"]["Metric"] for query in properties.get("Metrics", ())[1:]]
    for metric in queries or [properties]:
        dimensions = {entry["Name"]: entry["Value"] for entry in metric.get("Dimensions", ())}
        yield metric["Namespace"], metric["MetricName"], dimensions


def test_the_template_has_exactly_these_alarms(translated: Translated) -> None:
    assert set(translated.of_type("AWS::CloudWatch::Alarm")) == ALARMS


@pytest.mark.parametrize("alarm", sorted(ALARMS))
def test_an_alarm_watches_a_metric_that_is_emitted(translated: Translated, alarm: str) -> None:
    properties = translated.properties(alarm)
    for namespace, name, dimensions in watched_metrics(properties):
        assert is_known(namespace, name, dimensions)
        if namespace == "Runyard":
            # Two stacks of a stage in the same account must not share an alarm.
            assert dimensions == {"Stack": {"Ref": "AWS::StackName"}}
    # Without errors, every metric except RunsOrphaned has no data; RunsOrphaned is emitted as 0.
    is_always_emitted = properties.get("MetricName") == "RunsOrphaned"
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


def test_every_function_that_emits_metrics_has_its_stack(translated: Translated) -> None:
    for function in set(FUNCTIONS) - {"PublishAgentsFunction"}:
        variables = translated.variables(function)
        assert variables["STACK_NAME"] == {"Ref": "AWS::StackName"}, function


def test_an_expression_uses_each_of_its_metrics(translated: Translated) -> None:
    """An alarm accepts one result and at most ten queries."""
    for alarm in ALARMS:
        queries = translated.properties(alarm).get("Metrics", [])
        if not queries:
            continue
        assert len(queries) <= 10, alarm
        result, *metrics = queries
        expression = result["Expression"]
        text = expression["Fn::Sub"] if isinstance(expression, dict) else expression
        assert all(query["ReturnData"] is False for query in metrics), alarm
        if "METRICS()" not in text:
            names = set(re.findall(r"\b[a-z]\w*", text))
            assert names == {query["Id"] for query in metrics}, alarm


def test_all_functions_have_an_alarm_on_throttles(translated: Translated) -> None:
    functions = {
        str(dimensions["FunctionName"]["Ref"])
        for alarm in ("RunStepThrottled", "FunctionsThrottled")
        for _, name, dimensions in watched_metrics(translated.properties(alarm))
        if name == "Throttles"
    }
    # A deployment waits for the publisher of agents, and fails visibly.
    assert functions == set(FUNCTIONS) - {"PublishAgentsFunction"}


def test_the_canary_compares_runs_with_published_events(translated: Translated) -> None:
    """If the stream's mapping is disabled, every other metric of publishing has no data."""
    properties = translated.properties("EventPublishingStopped")
    names = {name for _, name, _ in watched_metrics(properties)}
    assert names == {"RunsStarted", "EventsPublished"}


def test_the_dashboard_is_named_by_stack_and_region(translated: Translated) -> None:
    """Dashboards are global: the same stack in a second region would overwrite it."""
    name = translated.properties("Dashboard")["DashboardName"]
    assert name == {"Fn::Sub": "${AWS::StackName}-${AWS::Region}"}


def dashboard_metrics(translated: Translated) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield namespace, name and dimensions of each line of each graph, without abbreviations."""
    text, _ = translated.properties("Dashboard")["DashboardBody"]["Fn::Sub"]
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
    text, _ = translated.properties("Dashboard")["DashboardBody"]["Fn::Sub"]
    assert set(re.findall(r"\$\{(\w+)\.Arn\}", text)) == ALARMS
    named = set(re.findall(r"\$\{(\w+)(?:\.\w+)?\}", text))
    assert named <= set(translated.document["Resources"])


def test_graphs_do_not_overlap(translated: Translated) -> None:
    text, _ = translated.properties("Dashboard")["DashboardBody"]["Fn::Sub"]
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


@pytest.mark.parametrize("alarm", sorted(ALARMS - ASKED_IN_A_SHELL))
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
    folders = (ROOT / "layers" / "core", ROOT / "functions")
    code = "\n".join(file.read_text() for folder in folders for file in folder.rglob("*.py"))
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
