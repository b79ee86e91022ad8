"""Test both distributions, built and installed, and the core layer."""

import json
import signal
import subprocess
import sys
import venv
import zipfile
from importlib.metadata import Distribution, distribution
from pathlib import Path

import httpx
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.template.repository import ROOT

MAX_WHEEL_BYTES = 300_000
MAX_BASE_PACKAGES = 15
OWN_AGENTS = {
    "porter.yaml": "key: porter\nversion: '1'\ndescription: Greets.\nroute: scripted\n"
    "instructions: Greet.\ninput_schema: { type: object }\n",
    "routes.yaml": "scripted:\n  model: scripted:porter\n",
    "scripts/porter.yaml": "dialogues:\n  - name: greet\n    turns:\n      - say: Welcome.\n",
}


@pytest.fixture(scope="module")
def environment(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create a virtual environment with the base install and what it depends on."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "-qq", "--no-index", "--no-deps"),
            *("--prefix", str(folder), "--ignore-installed", str(wheels["runyard"])),
        ],
        check=True,
    )
    for package in dependencies("runyard").values():
        names = {file.parts[0] for file in package.files or () if file.parts[0] != ".."}
        for name in names - {"__pycache__"}:
            (site / name).symlink_to(Path(str(package.locate_file(name))))
    return folder


def dependencies(name: str) -> dict[str, Distribution]:
    """Return all packages that the package needs without an extra, by name."""
    found: dict[str, Distribution] = {}
    left = [name]
    while left:
        for line in distribution(left.pop()).requires or ():
            needed = Requirement(line)
            is_needed = needed.marker is None or needed.marker.evaluate({"extra": ""})
            found_name = canonicalize_name(needed.name)
            if is_needed and found_name not in found:
                found[found_name] = distribution(found_name)
                left.append(found_name)
    return found


def run(environment: Path, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run `python -m runyard` in the environment, outside the repository."""
    return subprocess.run(
        [str(environment / "bin/python"), "-I", "-m", "runyard", *words],
        cwd=environment,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )


def test_both_distributions_have_the_same_version(wheels: dict[str, Path]) -> None:
    assert set(wheels) == {"runyard", "runyard_service"}
    version = (ROOT / "layers/core/VERSION").read_text().strip()
    assert {path.name.split("-")[1] for path in wheels.values()} == {version}


def test_the_base_install_is_small(wheels: dict[str, Path]) -> None:
    with zipfile.ZipFile(wheels["runyard"]) as wheel:
        code = [file for file in wheel.infolist() if ".dist-info/" not in file.filename]
        (metadata,) = [name for name in wheel.namelist() if name.endswith("METADATA")]
        lines = wheel.read(metadata).decode().splitlines()
    assert {file.filename.partition("/")[0] for file in code} == {"runyard"}
    assert wheels["runyard"].stat().st_size <= MAX_WHEEL_BYTES
    assert "runyard/py.typed" in wheel.namelist()
    base = [line for line in lines if line.startswith("Requires-Dist:") and "extra ==" not in line]
    assert {Requirement(line.partition(": ")[2]).name for line in base} == {
        *("click", "httpx2", "rich")
    }
    assert len(dependencies("runyard")) < MAX_BASE_PACKAGES


def test_the_base_install_has_both_clients(environment: Path) -> None:
    code = (
        "from runyard import AsyncRunyard, Runyard, events\n"
        "for client in (Runyard, AsyncRunyard):\n"
        "    print(client(url='http://127.0.0.1:1', access_key='ry_x'))\n"
    )
    command = [str(environment / "bin/python"), "-I", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "Runyard(url='http://127.0.0.1:1', project=None)",
        "AsyncRunyard(url='http://127.0.0.1:1', project=None)",
    ]


def test_own_code_needs_no_other_package(wheels: dict[str, Path]) -> None:
    code = f"import sys; sys.path.insert(0, {str(wheels['runyard'])!r}); from runyard import agent"
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True)


def test_the_service_has_the_local_stack(wheels: dict[str, Path]) -> None:
    with zipfile.ZipFile(wheels["runyard_service"]) as wheel:
        names = [name for name in wheel.namelist() if ".dist-info/" not in name]
    assert {name.partition("/")[0] for name in names} == {"runyard_dev", "runyard_service"}
    assert "runyard_service/py.typed" in names
    stack = {Path(name).parts[2] for name in names if name.startswith("runyard_service/stack/")}
    assert stack == {"agents", "functions", "layers", "statemachines", "template.yaml"}


def test_the_base_install_lists_every_command(environment: Path) -> None:
    done = run(environment, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    listed = {line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")}
    commands = {
        *("agents", "answer", "approve", "completion", "console", "dev", "events", "follow"),
        *("inbox", "keys", "lint", "login", "new", "profiles", "projects", "refuse", "run", "runs"),
        *("threads", "tickets", "vendor", "verify", "webhooks", "whoami"),
    }
    assert commands <= listed
    for command in commands:
        assert run(environment, command, "--help").returncode == 0


@pytest.mark.parametrize(
    ("words", "extra"),
    [
        (("keys", "list"), "admin"),
        (("projects", "set", "p"), "admin"),
        (("agents", "check"), "admin"),
        (("tickets", "rotate-secret", "--stack", "s"), "admin"),
        (("verify",), "admin"),
        (("webhooks", "redrive"), "admin"),
        (("events", "redrive", "--stack", "s"), "admin"),
        (("new", "shop"), "admin"),
        (("vendor",), "admin"),
        (("dev",), "dev"),
        (("dev", "sam-env"), "dev"),
    ],
)
def test_a_missing_extra_is_named(environment: Path, words: tuple[str, ...], extra: str) -> None:
    done = run(environment, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert f'pip install "runyard[{extra}]"' in done.stderr


def test_the_base_install_verifies_an_export(environment: Path) -> None:
    event = {"id": "e", "type": "run.completed", "sequence": 1}
    lines = [
        {"kind": "run", "data": {"id": "r", "status": "completed"}},
        {"kind": "event", "data": event},
        {"kind": "end", "data": {"events": 1}},
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    done = run(environment, "verify", "-", stdin=text)
    assert (done.returncode, done.stderr) == (0, "")
    assert (
        run(
            environment, "verify", "-", stdin=text.replace('"sequence": 1', '"sequence": 2')
        ).returncode
        == 1
    )


def test_the_installed_wheels_run_the_agents_of_the_current_folder(
    installed: Path, outside: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "project"
    for name, text in OWN_AGENTS.items():
        (folder / "agents" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "agents" / name).write_text(text, encoding="utf-8")
    with subprocess.Popen(
        [str(installed), "-I", "-m", "runyard", "dev", "--port", "0"],
        cwd=folder,
        env=outside,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("ready "):
                break
        try:
            assert lines[-1].startswith("ready "), "".join(lines)
            _, url, _, key = lines[-1].split()[:4]
            headers = {"Authorization": f"Bearer {key}"}
            with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
                personas = client.get("/threads/v1/personas").json()
                run = client.post("/v1/runs", json={"input": {"content": "Hello"}}).json()
        finally:
            process.send_signal(signal.SIGINT)
            lines += process.stdout
    assert [persona["persona_id"] for persona in personas] == ["porter@1"], "".join(lines)
    assert run["data"]["output"] == {"content": "Welcome."}, "".join(lines)
    assert process.returncode == 0, "".join(lines)


def test_the_commands_do_not_import_the_service() -> None:
    code = (
        "import sys, runyard, runyard.cli.main;"
        "print([m for m in sys.modules if m.startswith(('runyard_', 'boto', 'pydantic', 'moto'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_core_layer_contains_only_the_service(tmp_path: Path) -> None:
    subprocess.run(
        [
            *("make", "--silent", "-C", "layers", "build-CoreLayer"),
            *(f"PYTHON={sys.executable}", f"ARTIFACTS_DIR={tmp_path}"),
        ],
        cwd=ROOT,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    assert [path.name for path in tmp_path.iterdir()] == ["python"]
    assert [path.name for path in (tmp_path / "python").iterdir()] == ["runyard_service"]
    sources = {path: path.read_text() for path in tmp_path.rglob("*.py")}
    assert len(sources) > 100
    foreign = (
        "runyard_dev",
        "fault_injection",
        "RUNYARD_DEV_PLUGIN",
        "runyard.cli",
        "import click",
    )
    assert [path for path, text in sources.items() if any(word in text for word in foreign)] == []
