"""Test a clone with the folder name of `git clone`, in a path with a space."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runyard_dev.processes.process import free_ports

ROOT = Path(__file__).resolve().parents[3]
ENVIRONMENTS = (".venv", ".venv-sam")


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Clone the current commit to `a b/runyard`, and link the environments of this folder."""
    if not (ROOT / ".git").exists():
        pytest.skip("there is no repository to clone")
    folder = tmp_path_factory.mktemp("clone") / "a b" / "runyard"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    for name in ENVIRONMENTS:
        (folder / name).symlink_to(ROOT / name)
    for source in [*(folder / "requirements").iterdir(), folder / "layers" / "core" / "VERSION"]:
        os.utime(source, (0, 0))  # Prevents make from building the environments again.
    yield folder
    shutil.rmtree(folder)


def run(clone: Path, *command: str) -> str:
    """Run a command of the clone with the code of the clone; return its output."""
    environment = {**os.environ, "PYTHONPATH": str(clone / "layers" / "core")}
    done = subprocess.run(
        command,
        cwd=clone,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("target", ["help", "check-agents", "openapi", "lint-template"])
def test_a_target_works_in_a_path_with_a_space(clone: Path, target: str) -> None:
    run(clone, "make", target)


def test_import_check_recognizes_only_project_modules(clone: Path) -> None:
    python = str(clone / ".venv" / "bin" / "python")
    run(clone, python, "-m", "pytest", "-q", "tests/template/test_snapshots.py")


def test_checkov_runs_in_a_path_with_a_space(clone: Path) -> None:
    """The script starts as pip installs it: the kernel cannot read its first line."""
    folder = clone / ".venv-checkov" / "bin"
    folder.mkdir(parents=True)
    (folder / "python").symlink_to(sys.executable)
    script = folder / "checkov"
    script.write_text(f"#!{folder}/python\nprint('no JSON')\n", encoding="utf-8")
    script.chmod(0o755)
    done = subprocess.run(
        [str(folder / "python"), "tools/check_checkov.py"],
        cwd=clone,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "JSONDecodeError" in done.stderr, "the script was not reached"


@pytest.mark.parametrize("encoding", ["iso-8859-1", "ascii"])
def test_make_dev_starts_where_the_output_is_not_utf_8(
    clone: Path, tmp_path: Path, encoding: str
) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": str(clone / "layers" / "core"),
        "PYTHONIOENCODING": encoding,
        "DATA_DIR": str(tmp_path / "data é"),
        "PORT": str(free_ports(1)[0]),
    }
    with subprocess.Popen(
        ["make", "dev"],
        cwd=clone,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        seen = b""
        for line in process.stdout:
            seen += line
            if line.startswith(b"ready "):
                break
        os.killpg(process.pid, signal.SIGINT)
        seen += process.stdout.read()
    assert b"Traceback" not in seen, seen.decode(errors="replace")
    assert b"\nready " in seen, seen.decode(errors="replace")
    assert b"/console/#key=" in seen, seen.decode(errors="replace")
