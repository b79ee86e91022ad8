"""A project from the wheels alone: create it, test it, run its agent, and upgrade it."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from runyard.project.errors import ProjectError
from runyard.project.scaffold import new_project
from runyard.project.service_files import installed_service
from tests.support.wheels import NEWER_VERSION, build_wheels, install_wheels, newer_source
from tests.template.repository import ROOT

Runyard = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def parent(tmp_path: Path) -> Path:
    """Return a folder with a space in its name."""
    folder = tmp_path / "my projects"
    folder.mkdir()
    return folder


@pytest.fixture
def runyard(installed: Path, outside: dict[str, str]) -> Runyard:
    """Return a function that runs the command of the installed wheels in a folder."""

    def run(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [str(installed), "-I", "-m", "runyard", *words],
            cwd=folder,
            env=outside,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@contextmanager
def running_stack(python: Path, folder: Path, environment: dict[str, str]) -> Iterator[str]:
    """Run `runyard dev` in the folder; yield its address."""
    with subprocess.Popen(
        [str(python), "-I", "-m", "runyard", "dev", "--port", "0"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("ready "):
                break
        try:
            assert lines[-1].startswith("ready "), "".join(lines)
            yield lines[-1].split()[1]
        finally:
            process.send_signal(signal.SIGINT)
            process.stdout.read()


@pytest.mark.timeout(300)  # It builds and installs both wheels, and starts a stack.
def test_a_new_project_is_tested_and_its_agent_runs(
    runyard: Runyard, installed: Path, outside: dict[str, str], parent: Path
) -> None:
    done = runyard(parent, "new", "shop")
    assert done.returncode == 0, done.stderr
    assert "  cd shop\n  runyard dev\n" in done.stderr
    project = parent / "shop"
    _assert_contains_the_service_of_this_repository(project)
    _run_own_tests(installed, project, outside)
    checked = runyard(project, "agents", "check")
    assert checked.stdout == "refunds@1  scripted-refunds  scripted:refunds\n", checked.stderr
    with running_stack(installed, project, outside):
        printed = _follow_readme(installed, project, outside)
    assert 'run.completed\tcompleted\t{"paid":"paid 30 for order 7"}' in printed
    assert (project / ".runyard/access-key").exists()


@pytest.mark.timeout(300)  # It builds and installs both wheels twice.
def test_an_upgrade_replaces_the_service_of_a_project(
    runyard: Runyard, installed: Path, parent: Path, tmp_path: Path
) -> None:
    assert runyard(parent, "new", "shop").returncode == 0
    project = parent / "shop"
    newer = build_wheels(newer_source(ROOT, tmp_path / "newer"), tmp_path / "dist")
    install_wheels(installed, newer)
    upgraded = runyard(project, "vendor")
    assert upgraded.returncode == 0, upgraded.stderr
    assert upgraded.stdout.splitlines() == [
        "added    vendor/runyard/functions/sweep/newer.py",
        "changed  template.yaml",
        "removed  vendor/runyard/agent_code/python/runyard/strands.py",
    ]
    assert upgraded.stderr == (
        f"runyard-service {installed_service().version} -> {NEWER_VERSION}:"
        " 1 added, 1 changed, 1 removed\n"
    )
    again = runyard(project, "vendor")
    assert (again.stdout, again.stderr) == ("", f"runyard-service {NEWER_VERSION}: no changes\n")


def _assert_contains_the_service_of_this_repository(project: Path) -> None:
    """A file that the wheel lacks would be missing here."""
    vendored = project / "vendor/runyard"
    written = {
        path.relative_to(vendored).as_posix(): path.read_bytes()
        for path in vendored.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }
    expected = installed_service().files
    assert written.keys() == expected.keys()
    assert [name for name, content in expected.items() if written[name] != content] == []


def _run_own_tests(python: Path, project: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"],
        cwd=project,
        env=environment | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout


def _follow_readme(python: Path, project: Path, environment: dict[str, str]) -> str:
    """Run the commands of the project's README in a second terminal; return what they print."""
    readme = (project / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", readme, re.DOTALL)
    code = "".join(block for block in blocks if "$RUN" in block)
    done = subprocess.run(
        ["bash", "-u", "-c", code],  # Without a terminal, the first `follow` ends with 5.
        cwd=project,
        env=environment | {"PATH": f"{python.parent}:{environment['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ["Shop", "2shops", "a/b", "..", "a b", "-a", "a" * 41, ""])
def test_a_name_that_no_stack_can_have_is_rejected(name: str, parent: Path) -> None:
    with pytest.raises(ProjectError, match="cannot be the name of a stack"):
        new_project(name, parent, installed_service())
    assert list(parent.iterdir()) == []


def test_a_folder_with_content_is_rejected_and_an_empty_folder_is_used(parent: Path) -> None:
    (parent / "shop").mkdir()
    (parent / "shop" / "notes.txt").write_text("mine")
    (parent / "file").write_text("mine")
    for name in ("shop", "file"):
        with pytest.raises(ProjectError, match="exists already"):
            new_project(name, parent, installed_service())
    assert [path.name for path in (parent / "shop").iterdir()] == ["notes.txt"]
    (parent / "empty").mkdir()
    manifest = new_project("empty", parent, installed_service()) / "vendor/runyard/manifest.json"
    assert json.loads(manifest.read_text())["version"] == installed_service().version


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("vendor",), "has no folder agents/"),
        (("new", "Shop"), "cannot be the name of a stack"),
        (("dev", "--agents-dir", "missing"), "Directory 'missing' does not exist"),
        (("dev", "--agents-dir", "."), "routes.yaml: is missing"),
    ],
)
def test_a_mistake_is_one_message(parent: Path, words: tuple[str, ...], message: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "runyard", *words],
        cwd=parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (1, 2)
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert list(parent.iterdir()) == []
