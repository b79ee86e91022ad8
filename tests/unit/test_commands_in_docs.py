"""Commands in README.md and docs/ exist."""

import importlib.util
import re
import shlex
import subprocess
from functools import cache
from pathlib import Path

import botocore.session
import click
import pytest
from botocore import xform_name

from runyard.cli.main import runyard

PAGES = [Path("README.md"), Path("CONTRIBUTING.md"), *sorted(Path("docs").rglob("*.md"))]
PAGES = [page for page in PAGES if "adr" not in page.parts]


def _find(pattern: str) -> list[tuple[str, str]]:
    """Return each match of the pattern in code, with the name of its page."""
    return [
        (page.name, found)
        for page in PAGES
        for code in re.findall(r"```sh\n.*?```|`[^`\n]+`", page.read_text("utf-8"), re.DOTALL)
        for found in re.findall(pattern, code.replace("\\\n", " "))
    ]


def find_error(words: str) -> str | None:
    """Return what is wrong with the words after `runyard`, or None."""
    lexer = shlex.shlex(words, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    command: click.Command = runyard
    for word in lexer:
        if word.startswith("-") and word != "-":
            flags = {flag for option in command.params for flag in option.opts}
            if word.partition("=")[0] not in {*flags, "--help", "--version"}:
                return f"{command.name} has no option {word}"
        elif isinstance(command, click.Group) and re.fullmatch(r"[a-z][a-z-]*", word):
            found = command.get_command(click.Context(command), word)
            if found is None:
                return f"{command.name} has no command {word}"
            command = found
    return None


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", Path("Makefile").read_text("utf-8"), re.MULTILINE))
    named = _find(r"(?:^|[`\n ])make ([a-z][a-z0-9-]*)")
    assert len(named) > 20
    assert [each for each in named if each[1] not in targets] == []


def test_every_module_exists() -> None:
    named = _find(r"python -m ((?:runyard|benchmarks|tests)[\w.]*)")
    assert [each for each in named if not _is_module(each[1])] == []


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def test_every_runyard_command_exists() -> None:
    names = "|".join(runyard.list_commands(click.Context(runyard)))
    argument = r"""(?:"[^"\n]*"|'[^'\n]*'|[^`\n#)|;&"'])*"""
    named = _find(rf"(?:^|[`\n(/ ])runyard ((?:{names})\b{argument})")
    assert {words.split()[0] for _, words in named} >= {"agents", "keys", "run", "inbox", "runs"}
    assert [(*each, error) for each in named if (error := find_error(each[1]))] == []


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("keys create --project p", None),
        ('agents publish --stack "$STACK"', None),
        ("agents push --stack s", "agents has no command push"),
        ("keys create --projects p", "create has no option --projects"),
    ],
)
def test_an_invalid_command_is_reported(words: str, error: str | None) -> None:
    assert find_error(words) == error


# Options of the AWS command line itself, of its pages of results, and of binary parameters.
AWS_OPTIONS = {"--query", "--output", "--region", "--max-items"}
AWS_OPTIONS |= {"--cli-binary-format", "--zip-file"}
# Commands that the AWS command line adds to the API.
AWS_CUSTOM_COMMANDS = {("configure", "get"), ("s3", "rb"), ("s3", "cp")}


def find_aws_error(words: str) -> str | None:
    """Return what is wrong with the words after `aws`, or None."""
    service, operation, *rest = words.split()
    if (service, operation) in AWS_CUSTOM_COMMANDS:
        return None
    service = "s3" if service == "s3api" else service
    session = botocore.session.get_session()
    if service not in session.get_available_services():
        return f"there is no service {service}"
    operations = operations_of(service)
    if operation == "wait":
        waiters = session.get_waiter_model(service).waiter_names
        waiting = {xform_name(name, "-"): name for name in waiters}
        if rest[0] not in waiting:
            return f"{service} cannot wait for {rest[0]}"
        model = session.get_waiter_model(service).get_waiter(waiting[rest[0]])
        operation = xform_name(model.operation, "-")
    if operation not in operations:
        return f"{service} has no operation {operation}"
    options = set(re.findall(r"(?<=\s)--[a-z][\w-]*", words)) - AWS_OPTIONS
    unknown = options - operations[operation]
    return f"{operation} has no option {min(unknown)}" if unknown else None


def aws_commands(code: str) -> list[str]:
    """Return the words after each `aws`; quoted words and substituted commands become X."""
    code = re.sub(r"'[^'\n]*'", "X", code.replace("\\\n", " "))
    code = re.sub(r"\$\((?!aws )[^()]*\)", "X", code)
    code = re.sub(r'"[^"\n]*"', "X", code)
    return re.findall(r"\baws ([a-z][a-z0-9]*(?:-[a-z]+)* [a-z][a-z0-9-]*[^`\n)|;&>#]*)", code)


@cache
def operations_of(service: str) -> dict[str, set[str]]:
    """Return the options of each operation of a service, as the AWS command line names them."""
    model = botocore.session.get_session().get_service_model(service)
    found: dict[str, set[str]] = {}
    for name in model.operation_names:
        shape = model.operation_model(name).input_shape
        options = found.setdefault(xform_name(name, "-"), set())
        for member, kind in (shape.members if shape else {}).items():
            option = xform_name(member, "-")
            options.add(f"--{option}")
            if kind.type_name == "boolean":
                options.add(f"--no-{option}")
    return found


def test_every_aws_command_has_an_operation_and_its_options() -> None:
    named = [
        (page.name, command)
        for page in PAGES
        for code in re.findall(r"```sh\n.*?```|`aws [^`]+`", page.read_text("utf-8"), re.DOTALL)
        for command in aws_commands(code)
    ]
    assert len(named) > 80
    assert [(*each, error) for each in named if (error := find_aws_error(each[1]))] == []


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("sqs receive-message --queue-url x", None),
        ("dynamodb wait table-exists --table-name x", None),
        ("lambda update-event-source-mapping --uuid x --no-enabled", None),
        ("sqs receive-messages", "sqs has no operation receive-messages"),
        ("sqs receive-message --queue x", "receive-message has no option --queue"),
        ("dynamodb wait table-ready", "dynamodb cannot wait for table-ready"),
        ("dynamo list-tables", "there is no service dynamo"),
    ],
)
def test_a_wrong_aws_command_is_found(words: str, error: str | None) -> None:
    assert find_aws_error(words) == error


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_bash_can_parse_every_command(page: Path) -> None:
    blocks = re.findall(
        r"^ *```sh\n(.*?)^ *```$", page.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    done = subprocess.run(
        ["bash", "-n"], input="\n".join(blocks), capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
