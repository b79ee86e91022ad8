"""`runyard --help` lists every command without importing one."""

import subprocess
import sys

import click
import pytest

from runyard.cli.main import runyard

CONTEXT = click.Context(runyard)


@pytest.mark.parametrize("name", runyard.list_commands(CONTEXT))
def test_a_listed_command_exists(name: str) -> None:
    command = runyard.get_command(CONTEXT, name)
    assert command is not None
    assert command.name == name
    assert command.get_help(click.Context(command, info_name=name))


def test_the_help_imports_no_command() -> None:
    code = (
        "import sys\n"
        "from runyard.cli.main import runyard\n"
        "runyard.main(['--help'], standalone_mode=False)\n"
        "names = ('runyard.', 'rich', 'httpx2', 'json')\n"
        "print(sorted(m for m in sys.modules if m.startswith(names)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "['runyard.cli', 'runyard.cli.main']"


def test_an_unknown_command_is_an_error() -> None:
    assert runyard.get_command(CONTEXT, "deploy") is None
