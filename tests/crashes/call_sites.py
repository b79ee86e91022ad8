"""Every place in the code from which something outside is called: found by walking the code.

Two kinds: where a client is called, in `adapters/`, `agents/` and `outbound/`; and where a verb in
`application/` asks the stores or the orchestrator for something that such a call is made for.
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
# boto3's own on top of the operations, the outgoing request, and the two that stay inside.
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

    def is_among(self, lines: set[tuple[str, int]]) -> bool:
        """Whether one of the lines is its own."""
        return any((self.file, line) in lines for line in range(self.first, self.last + 1))

    def __str__(self) -> str:
        """As it is named in a list of reasons: without a line, which moves."""
        return f"{self.file}: {self.text}"


def call_sites() -> Iterator[CallSite]:
    """All of them."""
    for folder in _FOLDERS:
        for file in sorted((PACKAGE / folder).rglob("*.py")):
            name = str(file.relative_to(PACKAGE))
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and _leaves(node, folder):
                    last = node.end_lineno or node.lineno
                    yield CallSite(name, node.lineno, last, ast.unparse(node.func))


def _leaves(node: ast.Call, folder: str) -> bool:
    if isinstance(node.func, ast.Name):
        return node.func.id in _PORTS
    if not isinstance(node.func, ast.Attribute):
        return False
    receiver, method = ast.unparse(node.func.value), node.func.attr
    if method in _operations() and (_CLIENT.search(receiver) or "_" in method):
        return True
    # What only builds a part of a transaction calls nobody.
    is_change = method.endswith(("_change", "_changes", "_check"))
    return folder == "application" and bool(_STORE.search(receiver)) and not is_change


@lru_cache(maxsize=1)
def _operations() -> frozenset[str]:
    """Every method that a client of the services has, whether it is used today or not."""
    session = botocore.session.get_session()
    names = {
        xform_name(operation)
        for service in _SERVICES
        for operation in session.get_service_model(service).operation_names
    }
    return _MORE | names
