"""The TypeScript client: its own tests, its types, its size, and its package."""

import gzip
import json
import shlex
from pathlib import Path

import pytest

from tests.support.service import Service
from tests.support.shell_sessions import code_blocks
from tests.support.typescript_client import BUILT, FOLDER, ROOT, install, needs_client, run

pytestmark = needs_client
GUIDE = ROOT / "docs/how-to/typescript-client.md"
MAX_BYTES = 6000
MAX_LINES = 12


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("tests/*.test.mjs")))
def test_the_tests_of_the_client(name: str) -> None:
    done = run("node", "--test", "--test-timeout=60000", f"tests/{name}", check=False)
    assert done.returncode == 0, done.stdout


def test_the_types_are_those_of_the_contract(tmp_path: Path) -> None:
    scripts = json.loads((FOLDER / "package.json").read_text())["scripts"]
    command = scripts["generate"].replace("src/openapi.ts", shlex.quote(f"{tmp_path}/openapi.ts"))
    run("npm", "exec", "--call", command)
    written = (tmp_path / "openapi.ts").read_text()
    assert written == (FOLDER / "src/openapi.ts").read_text(), "run make openapi"


def test_wrong_values_are_type_errors() -> None:
    done = run("npm", "run", "--silent", "check", check=False)
    assert done.returncode == 0, done.stdout


def test_the_whole_client_is_small() -> None:
    # As a bundler minifies it.
    minified = run("node_modules/.bin/esbuild", "--minify", "--format=esm", str(BUILT)).stdout
    assert len(gzip.compress(minified.encode(), 9)) <= MAX_BYTES


def test_the_package_has_no_dependencies_and_the_version_of_the_service() -> None:
    package = json.loads((FOLDER / "package.json").read_text())
    version = (ROOT / "layers/core/VERSION").read_text().strip()
    assert "dependencies" not in package
    assert package["version"] == version
    lock = json.loads((FOLDER / "package-lock.json").read_text())
    assert not [name for name, entry in lock["packages"].items() if "resolved" in entry]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new project with the packed client."""
    folder = tmp_path_factory.mktemp("project")
    install(folder)
    return folder


def test_the_package_has_the_module_its_types_and_the_license(project: Path) -> None:
    package = project / "node_modules/runyard"
    files = {str(path.relative_to(package)) for path in package.rglob("*") if path.is_file()}
    assert {"package.json", "README.md", "dist/LICENSE", "dist/index.js"} < files
    assert not [name for name in files if name.endswith(".ts") and not name.endswith(".d.ts")]
    assert sorted(path.name for path in (project / "node_modules").iterdir()) == [
        ".package-lock.json",
        "runyard",
    ]


def test_typescript_finds_the_types_of_the_package(project: Path) -> None:
    (project / "wrong.ts").write_text(
        'import { Runyard } from "runyard";\n'
        "const ry = new Runyard();\n"
        'const runs = await ry.runs.list({ status: ["failed"] });\n'
        "runs.pagination.total_count.toFixed();\n"
        'await ry.runs.list({ status: ["ended"] });\n'
    )
    options = ("--noEmit", "--strict", "--skipLibCheck", "--target", "es2022")
    modules = ("--module", "esnext", "--moduleResolution", "bundler")
    tsc = str(FOLDER / "node_modules/.bin/tsc")
    done = run(tsc, *options, *modules, "wrong.ts", folder=project, check=False)
    [error] = [line for line in done.stdout.splitlines() if "error" in line]
    assert "wrong.ts(5," in error
    assert "ended" in error


@pytest.mark.parametrize("section", ["A run", "A conversation"])
def test_the_examples_of_the_guide(section: str, service: Service, project: Path) -> None:
    [example] = code_blocks(GUIDE, section, "js")
    assert len(example.splitlines()) <= MAX_LINES
    printed = _run_example(example, service, project)
    if section == "A run":
        assert "category: 'billing'" in printed
    else:
        lines = printed.splitlines()
        assert lines[0] == "user: Please refund order 4812."
        assert lines[1].startswith("assistant: ")


def test_the_example_of_the_package(service: Service, project: Path) -> None:
    [example] = code_blocks(FOLDER / "README.md", "", "js")
    assert "category:" in _run_example(example, service, project)


def _run_example(example: str, service: Service, project: Path) -> str:
    (project / "example.mjs").write_text(example)
    environment = {"RUNYARD_URL": service.base_url, "RUNYARD_ACCESS_KEY": service.access_key}
    return run("node", "example.mjs", folder=project, environment=environment).stdout
