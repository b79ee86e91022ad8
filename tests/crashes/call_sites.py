"""Find every external call site in the source code.

There are two kinds: a call of a client in `adapters/`, `agents/` and `outbound/`; and a call of a
store or the orchestrator in `application/`, which causes such a call.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import botocore.session
from botocore import xform_name

PACKAGE = Path("layers/core/runyard_service")
_FOLDERS = ("application", "adapters", "agents", "outbound")
_SERVICES = ("dynamodb", "s3", "stepfunctions", "lambda", "secretsmanager")
# Methods of boto3 that are not operations, the outgoing request, and calls within the process.
_MORE = frozenset({"upload_fileobj", "download_fileobj", "send"})
_PORTS = frozenset({"anext", "call_python"})
_CLIENT = re.compile(r"client(\(.*\))?$", re.DOTALL)
_STORE = re.compile(r"(^|\.)(stores(\.\w+)*|orchestrator|threads|messages|live|spending|catalog)$")


@dataclass(frozen=True)
class CallSite:
    """One call in the code."""

    file: str
    first: int
    last: int
    text: str

    def is_in(self, lines: set[tuple[str, int]]) -> bool:
        """Return True if the call site contains one of the lines."""
        return any((self.file, line) in lines for line in range(self.first, self.last + 1))

    def __str__(self) -> str:
        """Return the call site without its line, which changes."""
        return f"{self.file}: {self.text}"


def call_sites() -> Iterator[CallSite]:
    """Yield all external call sites."""
    for folder in _FOLDERS:
        for file in sorted((PACKAGE / folder).rglob("*.py")):
            name = str(file.relative_to(PACKAGE))
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and _is_external(node, folder):
                    last = node.end_lineno or node.lineno
                    yield CallSite(name, node.lineno, last, ast.unparse(node.func))


def _is_external(node: ast.Call, folder: str) -> bool:
    if isinstance(node.func, ast.Name):
        return node.func.id in _PORTS
    if not isinstance(node.func, ast.Attribute):
        return False
    receiver, method = ast.unparse(node.func.value), node.func.attr
    if method in _operations() and (_CLIENT.search(receiver) or "_" in method):
        return True
    # A method that builds a part of a transaction makes no call.
    is_change = method.endswith(("_change", "_changes", "_check"))
    return folder == "application" and bool(_STORE.search(receiver)) and not is_change


@lru_cache(maxsize=1)
def _operations() -> frozenset[str]:
    """Return every method of the clients of the services."""
    session = botocore.session.get_session()
    names = {
        xform_name(operation)
        for service in _SERVICES
        for operation in session.get_service_model(service).operation_names
    }
    return _MORE | names
