"""The layers have the byte code of all that a function imports: Lambda could not save its own."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from benchmarks.built_functions import functions, import_path, lacking, python

pytestmark = pytest.mark.skipif(bool(lacking()), reason=f"nothing is built: {lacking()}")

# Prints for each module of a layer where its byte code has to be.
CODE = """
import importlib, json, os, sys
import handler
for name in os.environ["LATE"].split():
    importlib.import_module(name)
print(json.dumps([m.__cached__ for m in list(sys.modules.values())
    if getattr(m, "__cached__", None) and "Layer" in m.__cached__]))
"""
# Imported while the function handles an event, so that it can report a broken layer.
LATE = {
    "publish_agents": "runyard_service.application.maintenance.publish_agents"
    " runyard_service.container runyard_service.observability.logging"
}
NAMES = sorted(path.parent.name for path in Path("functions").glob("*/handler.py"))


def compiled(name: str) -> list[Path]:
    """Where the byte code is of what the built function imports of its layers."""
    function = functions()[name]
    done = subprocess.run(
        [python(), "-c", CODE],
        cwd=function.code_dir,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": import_path(function),
            "PYTHONDONTWRITEBYTECODE": "1",
            "LATE": LATE.get(name, ""),
            "AWS_DEFAULT_REGION": "us-east-1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [Path(each) for each in json.loads(done.stdout)]


@pytest.mark.parametrize("name", NAMES)
def test_nothing_that_a_function_imports_is_left_to_be_compiled(name: str) -> None:
    found = compiled(name)
    assert len(found) > 50, "the layers are not on the path"
    assert [path for path in found if not path.exists()] == []


@pytest.mark.parametrize("layer", ["CoreLayer", "DependenciesLayer", "ModelsLayer"])
def test_byte_code_is_of_this_python_and_is_not_held_against_its_source(layer: str) -> None:
    """The archives do not retain the times of files; word 1 is 1 for a hash without a check."""
    files = list((functions()["api"].code_dir.parent / layer / "python").rglob("*.pyc"))
    assert files
    magic = subprocess.run(
        [python(), "-c", "import importlib.util as u; print(u.MAGIC_NUMBER.hex())"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    for file in files:
        head = file.read_bytes()[:8]
        assert head == bytes.fromhex(magic) + (1).to_bytes(4, "little"), file
