"""SAM reads every SAM command in README.md and docs/ as it is intended."""

import json
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.template.conftest import SAM_PYTHON
from tests.template.repository import ROOT

_BLOCK = re.compile(r"^ *```(?:sh|bash|shell|console)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_TOML_BLOCK = re.compile(r"^ *```toml\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_ANY_BLOCK = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})")
_CALLS = ("sam", "samcli")
_OVERRIDES = "--parameter-overrides"
_SETTING = "parameter_overrides"
SAMCONFIG: dict[str, Any] = tomllib.loads((ROOT / "samconfig.toml").read_text(encoding="utf-8"))
STAGES = {"default": "dev", "staging": "staging", "prod": "prod"}


def commands_in(text: str) -> Iterator[list[str]]:
    """Return the arguments of each call of SAM in a page: in shell blocks and inline.

    A piece of inline code that is only `--parameter-overrides …` counts as one of `sam deploy`.
    """
    variables: dict[str, str] = {}
    for block in _BLOCK.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            yield from _calls(line, variables)
    for _, code in _INLINE.findall(_ANY_BLOCK.sub("", text)):
        line = " ".join(code.split())
        yield from _calls(f"sam deploy {line}" if line.startswith(_OVERRIDES) else line, {})


def configured_deployments(text: str) -> Iterator[list[str]]:
    """Return a call of `sam deploy` for each `parameter_overrides` in a TOML block of a page.

    SAM passes the text of samconfig.toml to the parser of the option, as one argument.
    """
    for block in _TOML_BLOCK.findall(text):
        if _SETTING in (found := tomllib.loads(block)):
            yield ["deploy", _OVERRIDES, found[_SETTING]]


def _calls(line: str, variables: dict[str, str]) -> Iterator[list[str]]:
    expanded = _VARIABLE.sub(lambda name: variables.get(name[1] or name[2], name[0]), line)
    if "sam" not in expanded:
        variables |= _assignment(line)
        return
    words = shlex.split(expanded, comments=True)
    if found := _assignment(line):
        variables |= found
        return
    position = next((n for n, word in enumerate(words) if Path(word).name in _CALLS), None)
    if position is not None:
        yield words[position + 1 :]


def _assignment(line: str) -> dict[str, str]:
    found = re.fullmatch(r"(?:export )?(\w+)=(\"[^\"]*\"|'[^']*'|\S*)\s*", line)
    return {found[1]: found[2].strip("\"'")} if found else {}


def intended_parameters(arguments: list[str]) -> dict[str, str]:
    """Return the parameters that the line intends: `Name=value`, unquoted once."""
    if _OVERRIDES not in arguments:
        return {}
    intended: dict[str, str] = {}
    for word in arguments[arguments.index(_OVERRIDES) + 1 :]:
        if word.startswith("--"):
            break
        for pair in [word] if re.fullmatch(r"\w+=\{.*", word) else shlex.split(word):
            name, _, value = pair.partition("=")
            intended[name] = value
    return intended


def received_by_sam(lines: list[list[str]]) -> list[dict[str, str] | None]:
    """Return for each line the parameters that SAM's own parser finds in it."""
    if not SAM_PYTHON.exists():
        pytest.fail("these tests need .venv-sam: run them by `make test`", pytrace=False)
    done = subprocess.run(
        [str(SAM_PYTHON), str(ROOT / "tools" / "sam_arguments.py")],
        cwd=ROOT,
        input=json.dumps(lines),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: list[dict[str, str] | None] = json.loads(done.stdout)
    return found


class _Template(yaml.SafeLoader):
    """Loads the template and ignores the tags of CloudFormation."""


_Template.add_multi_constructor("!", lambda loader, suffix, node: None)
PARAMETERS: dict[str, Any] = yaml.load((ROOT / "template.yaml").read_text(), _Template)[
    "Parameters"
]


def rejected_parameters(values: dict[str, str]) -> list[str]:
    """Return the parameters that CloudFormation rejects."""
    return [
        f"{name}={value}"
        for name, value in values.items()
        if name not in PARAMETERS
        or not re.fullmatch(PARAMETERS[name].get("AllowedPattern", "(?s).*"), value)
    ]


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]


def test_sam_receives_the_intended_parameters() -> None:
    texts = [page.read_text(encoding="utf-8") for page in PAGES]
    assert any(line[:1] == ["deploy"] for text in texts for line in commands_in(text))
    lines = [line for text in texts for line in configured_deployments(text)]
    assert len(lines) >= 2
    for line, received in zip(lines, received_by_sam(lines), strict=True):
        assert received == intended_parameters(line), line
        assert rejected_parameters(received or {}) == [], line
        assert "Stage" in (received or {}), line


def test_no_page_replaces_the_parameters_of_samconfig() -> None:
    """The option replaces the whole list: a prod stack would lose its stage."""
    replacing = [
        (page.name, line)
        for page in PAGES
        for line in commands_in(page.read_text(encoding="utf-8"))
        if _OVERRIDES in line[:-1]  # The name of the option alone is a warning.
    ]
    assert replacing == []


def test_a_deployment_without_a_stage_is_rejected() -> None:
    assert "Default" not in PARAMETERS["Stage"]


@pytest.mark.parametrize(("environment", "stage"), STAGES.items())
def test_each_environment_of_samconfig_sets_its_stage_and_tags(
    environment: str, stage: str
) -> None:
    configured = SAMCONFIG[environment]["deploy"]["parameters"]
    line = ["deploy", _OVERRIDES, configured[_SETTING]]
    [received] = received_by_sam([line])
    assert received is not None
    assert received["Stage"] == stage
    assert rejected_parameters(received) == []
    assert configured["tags"] == f"service=runyard stage={stage}"
    assert SAMCONFIG[environment]["global"]["parameters"]["stack_name"] == f"runyard-{stage}"


def test_a_value_truncated_by_sam_is_reported() -> None:
    """The test above fails on this line, which was in the README."""
    page = 'It is `--parameter-overrides \'AgentVariables={"CRM_URL":"https://…"}\'`.'
    [line] = commands_in(page)
    assert intended_parameters(line) == {"AgentVariables": '{"CRM_URL":"https://…"}'}
    [received] = received_by_sam([line])
    assert received == {"AgentVariables": "{"}
    assert rejected_parameters(received or {}) == ["AgentVariables={"]


def test_commands_are_found_in_shell_blocks_and_inline() -> None:
    page = """
Inline `sam build`, `python -m samcli delete --stack-name x`, and `sample` is none.

```sh
SAM="env A=0 .venv-sam/bin/python -m samcli local"
$SAM invoke F --event "a b.json"   # a comment
.venv-sam/bin/python -m samcli deploy \\
  --config-env prod
```
"""
    assert list(commands_in(page)) == [
        ["local", "invoke", "F", "--event", "a b.json"],
        ["deploy", "--config-env", "prod"],
        ["build"],
        ["delete", "--stack-name", "x"],
    ]


@pytest.mark.parametrize(
    ("value", "is_accepted"),
    [
        *(("{}", True), ('{"A":"b"}', True), (' { "A" : "b" , "C": "\\"" }\n', True)),
        *(("{", False), ("", False), ('{"A":1}', False), ('{"A":"b",}', False)),
        *(('{A:"b"}', False), ('{"A":"b"', False), ('["A"]', False), ('{"A":"b"}}', False)),
    ],
)
def test_the_template_accepts_agent_variables_as_an_object_of_strings(
    value: str, is_accepted: bool
) -> None:
    assert (rejected_parameters({"AgentVariables": value}) == []) is is_accepted
