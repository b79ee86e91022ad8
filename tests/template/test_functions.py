"""Every function has the variables that it reads, a log group with retention, and a timeout."""

import os

import pytest

from runyard_dev.plugin import PLUGIN_VARIABLE
from runyard_service.settings import Settings
from tests.fault_injection.faults import FILE_VARIABLE
from tests.template.repository import FUNCTIONS, ROOT, Translated

# Read by Powertools, glibc and the Lambda Web Adapter, not by this code.
FOREIGN_VARIABLES = {
    "LOG_LEVEL",
    "MALLOC_MMAP_THRESHOLD_",
    "POWERTOOLS_METRICS_NAMESPACE",
    "POWERTOOLS_SERVICE_NAME",
}
ADAPTER_VARIABLES = {
    "AWS_LAMBDA_EXEC_WRAPPER",
    "AWS_LWA_INVOKE_MODE",
    "AWS_LWA_PORT",
    "AWS_LWA_READINESS_CHECK_PATH",
}
SETTINGS_VARIABLES = {name.upper() for name in Settings.model_fields}


def test_the_template_has_exactly_the_functions_of_the_repository(
    translated: Translated,
) -> None:
    folders = {path.name for path in (ROOT / "functions").iterdir() if any(path.iterdir())}
    named = {
        name: "".join(f"_{c.lower()}" if c.isupper() else c for c in name) for name in FUNCTIONS
    }
    assert set(translated.of_type("AWS::Lambda::Function")) == set(FUNCTIONS)
    assert {name.removesuffix("_function").lstrip("_") for name in named.values()} == folders


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_variable_of_a_function_is_a_setting(translated: Translated, function: str) -> None:
    known = SETTINGS_VARIABLES | FOREIGN_VARIABLES
    if function == "StreamFunction":
        known |= ADAPTER_VARIABLES
    assert set(translated.variables(function)) - known == set()


def test_every_setting_is_a_variable_of_a_function(translated: Translated) -> None:
    given = {name for function in FUNCTIONS for name in translated.variables(function)}
    assert SETTINGS_VARIABLES - given == set()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_constant_values_are_valid_settings(translated: Translated, function: str) -> None:
    variables = translated.variables(function)
    Settings.from_environment({k: v for k, v in variables.items() if isinstance(v, str)})


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_function_has_the_variable_for_injected_faults(
    translated: Translated, function: str
) -> None:
    assert {FILE_VARIABLE, PLUGIN_VARIABLE}.isdisjoint(translated.variables(function))


def test_only_the_local_stack_loads_a_plugin_and_nothing_names_fault_injection() -> None:
    folders = ("functions", "layers/core", "local", "src")
    # A build of the wheels leaves copies in layers/core/build.
    files = [file for each in folders for file in (ROOT / each).rglob("*.py")]
    code = {file: file.read_text() for file in files if "build" not in file.relative_to(ROOT).parts}
    assert len(code) > 100
    assert [file for file, text in code.items() if FILE_VARIABLE in text] == []
    assert [file for file, text in code.items() if "fault_injection" in text] == []
    loading = {file.relative_to(ROOT).parts[0] for file in code if "PLUGIN" in code[file]}
    assert loading == {"local"}


def test_waits_are_shorter_than_the_timeout_of_their_function(translated: Translated) -> None:
    api, stream = translated.variables("ApiFunction"), translated.variables("StreamFunction")
    assert float(api["SYNC_WAIT_SECONDS"]) + 2 <= translated.properties("ApiFunction")["Timeout"]
    for name in ("SYNC_WAIT_SECONDS", "STREAM_MAX_SECONDS"):
        assert float(stream[name]) + 30 <= translated.properties("StreamFunction")["Timeout"]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_function_logs_to_a_group_with_retention(
    translated: Translated, function: str
) -> None:
    group = translated.properties(function)["LoggingConfig"]["LogGroup"]["Ref"]
    assert group == f"{function}Logs"
    assert "RetentionInDays" in translated.properties(group)


def test_every_log_group_has_a_retention_period(translated: Translated) -> None:
    groups = translated.of_type("AWS::Logs::LogGroup")
    assert groups
    assert [name for name, group in groups.items() if "RetentionInDays" not in group] == []


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_function_is_traced_and_has_the_architecture_of_the_layers(
    translated: Translated, function: str
) -> None:
    properties = translated.properties(function)
    assert properties["TracingConfig"] == {"Mode": "Active"}
    assert (properties["Runtime"], properties["Architectures"]) == ("python3.13", ["arm64"])


def test_only_functions_that_read_the_agent_files_have_their_layer(
    translated: Translated,
) -> None:
    for function in FUNCTIONS:
        layers = {layer.get("Ref", "") for layer in translated.properties(function)["Layers"]}
        has_agents = any(layer.startswith("AgentsLayer") for layer in layers)
        assert has_agents == ("AGENTS_DIR" in translated.variables(function)), function


def test_the_adapter_can_start_the_stream_function() -> None:
    script = ROOT / "functions" / "stream" / "run.sh"
    assert os.access(script, os.X_OK)
    assert b"\r" not in script.read_bytes()


@pytest.mark.parametrize("name", ["Api", "Stream", "RunStep"])
def test_the_concurrency_of_a_function_can_be_limited(translated: Translated, name: str) -> None:
    """Without a limit there is no reservation, because a reservation of 0 stops the function."""
    cap = translated.properties(f"{name}Function")["ReservedConcurrentExecutions"]
    assert cap == {
        "Fn::If": [f"Has{name}Concurrency", {"Ref": f"{name}Concurrency"}, {"Ref": "AWS::NoValue"}]
    }
    parameter = translated.document["Parameters"][f"{name}Concurrency"]
    assert parameter["Default"] == 0
    assert translated.document["Conditions"][f"Has{name}Concurrency"] == {
        "Fn::Not": [{"Fn::Equals": [{"Ref": f"{name}Concurrency"}, 0]}]
    }


def test_a_lost_sweep_is_not_retried_by_eventbridge_or_lambda(translated: Translated) -> None:
    """A retry by one of the two would overlap with the next sweep."""
    [target] = translated.properties("SweepFunctionEveryFiveMinutes")["Targets"]
    assert target["RetryPolicy"]["MaximumRetryAttempts"] == 0
    assert translated.properties("SweepFunctionEventInvokeConfig")["MaximumRetryAttempts"] == 0


def test_every_function_that_is_invoked_asynchronously_states_its_retries(
    translated: Translated,
) -> None:
    """EventBridge and custom resources invoke asynchronously: Lambda's own retries follow."""
    targets = {
        target["Arn"]["Fn::GetAtt"][0]
        for rule in translated.of_type("AWS::Events::Rule").values()
        for target in rule["Targets"]
    }
    custom = {translated.properties("PublishedAgents")["ServiceToken"]["Fn::GetAtt"][0]}
    stated = {
        config["FunctionName"]["Ref"]: config["MaximumRetryAttempts"]
        for config in translated.of_type("AWS::Lambda::EventInvokeConfig").values()
    }
    assert set(stated) == targets | custom
    assert stated == {"SweepFunction": 0, "CloseRunFunction": 2, "PublishAgentsFunction": 1}
