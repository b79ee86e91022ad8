"""Run an agent's handler in a process of its own: one JSON line in, one JSON line out.

`python agent_process.py FILE HANDLER`, with the interpreter of the agent's code. Run by its file
name, it imports none of our modules. What the code prints goes to standard error.
"""

import importlib.util
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any


def main(file: Path, handler_name: str) -> None:
    """Answer requests until standard input ends."""
    responses = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    handler, failure = None, {}
    try:
        handler = load_handler(file, handler_name)
    except Exception as error:  # noqa: BLE001 - reported to the caller
        failure = describe(error, "Runtime.ImportModuleError")
    for line in sys.stdin:
        if handler is None:
            response: dict[str, Any] = {"failure": failure}
        else:
            try:
                response = {"payload": handler(json.loads(line), None)}
            except Exception as error:  # noqa: BLE001 - reported to the caller
                response = {"failure": describe(error, type(error).__name__)}
        print(json.dumps(response), file=responses, flush=True)


def load_handler(file: Path, name: str) -> Any:
    """Return the object `name` of the module in `file`, whose folder is on the import path."""
    sys.path.insert(0, str(file.parent))
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    return getattr(module, name)


def describe(error: BaseException, kind: str) -> dict[str, str]:
    """Return the error as Lambda reports it, and print its traceback."""
    traceback.print_exception(error, file=sys.stderr)
    return {"errorType": kind, "errorMessage": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
