"""Let the emulator's CloudFormation fail at resources that a file names.

`emulator_workarounds.py` installs it in the emulator. The test writes the file: each line has
`update` or `rollback` and a logical id. The emulator updates resources in the order of their
dependencies, so everything that does not need the failed resource is already changed.
"""

import importlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

FILE_VARIABLE = "FAILING_RESOURCES"
REASON = "the deployment test lets this resource fail"


class FailingResourceError(Exception):
    """A resource that the file names."""


def write_failures(file: Path, *, update: Iterable[str] = (), rollback: Iterable[str] = ()) -> None:
    """Name the resources that fail from now on; without names, none fails."""
    lines = [f"update {name}" for name in update] + [f"rollback {name}" for name in rollback]
    file.write_text("\n".join(lines), encoding="utf-8")


def install() -> None:
    """Check the file before each create, update and rollback of a resource."""
    stacks: Any = importlib.import_module("ministack.services.cloudformation.stacks")
    create, update = stacks._provision_keeping_seed, stacks._update_keeping_seed
    stacks._provision_keeping_seed = _checked(create, position=1)
    stacks._update_keeping_seed = _checked(update, position=5)
    revert = stacks._revert_update

    async def reverted(*arguments: Any) -> Any:
        _fail_if_named("rollback", arguments[2])
        return await revert(*arguments)

    stacks._revert_update = reverted


def _checked(call: Callable[..., Any], *, position: int) -> Callable[..., Any]:
    """Return the call with a check of the argument that is the logical id."""

    def called(*arguments: Any) -> Any:
        _fail_if_named("update", arguments[position])
        return call(*arguments)

    return called


def _fail_if_named(action: str, logical_id: str) -> None:
    file = Path(os.environ[FILE_VARIABLE])
    if file.exists() and f"{action} {logical_id}" in file.read_text("utf-8").splitlines():
        raise FailingResourceError(REASON)
