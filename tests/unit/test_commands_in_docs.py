"""Commands in README.md and docs/ exist."""

import importlib.util
import re
import shlex
from pathlib import Path

import click
import pytest

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
            if word not in command.commands:
                return f"{command.name} has no command {word}"
            command = command.commands[word]
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
    named = _find(
        r"(?:^|[`\n(/ ])"
        r"runyard ((?:agents|dev|keys|projects|tickets|verify|webhooks)\b[^`\n#)|;&]*)"
    )
    assert {words.split()[0] for _, words in named} >= {"agents", "keys", "projects", "tickets"}
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
