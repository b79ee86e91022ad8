"""Find code of durable agents that can differ in a replay: clocks, randomness, network calls.

The code between the operations of `ctx` runs again in each invocation. This module reads Python
files without running them. It follows calls of functions in the same file, and it leaves out what
is passed to `ctx.step`.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

# By the full name of the call, or of its module with `.*`: what to use instead.
_RULES: Mapping[str, str] = {
    "asyncio.sleep": "use ctx.sleep",
    "boto3.*": "call it in ctx.step",
    "datetime.date.today": "use ctx.now()",
    "datetime.datetime.now": "use ctx.now()",
    "datetime.datetime.today": "use ctx.now()",
    "datetime.datetime.utcnow": "use ctx.now()",
    "http.client.*": "call it in ctx.step",
    "httpx.*": "call it in ctx.step",
    "open": "open files in ctx.step",
    "os.getenv": "read the environment when the module is imported",
    "os.urandom": "use ctx.random() or ctx.uuid()",
    "random.*": "use ctx.random()",
    "requests.*": "call it in ctx.step",
    "secrets.*": "use ctx.random() or ctx.uuid()",
    "socket.*": "call it in ctx.step",
    "subprocess.*": "call it in ctx.step",
    "time.monotonic": "use ctx.now()",
    "time.perf_counter": "use ctx.now()",
    "time.sleep": "use ctx.sleep",
    "time.time": "use ctx.now()",
    "urllib.request.*": "call it in ctx.step",
    "uuid.uuid1": "use ctx.uuid()",
    "uuid.uuid4": "use ctx.uuid()",
}
_STEP_METHODS = frozenset({"step"})
_CONTEXT_METHODS = frozenset(
    {"approve", "ask", "call_model", "call_tool", "emit", "now", "sleep", "step"}
)

_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, order=True)
class Finding:
    """A line that can make a replay differ."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        """Return `file:line: message`."""
        return f"{self.file}:{self.line}: {self.message}"


def lint_files(paths: Iterable[Path]) -> list[Finding]:
    """Return the findings in these files, and in all Python files of these folders.

    Raise SyntaxError for a file that is not Python.
    """
    files = [
        file
        for path in paths
        for file in (sorted(path.rglob("*.py")) if path.is_dir() else [path])
        if not {".venv", "node_modules"} & set(file.parts)
    ]
    return [found for file in files for found in lint_source(file.read_text("utf-8"), str(file))]


def lint_source(source: str, file: str = "<agent>") -> list[Finding]:
    """Return the findings in the agents of one module, in the order of its lines."""
    tree = ast.parse(source, file)
    module = _Module(tree)
    found: set[Finding] = set()
    for function in module.agents():
        context = function.args.args[0].arg if function.args.args else "ctx"
        for line, message in _Reader(module, context).read(function):
            found.add(Finding(file, line, message))
    return sorted(found)


class _Module:
    """The functions of a module, and the full names of what it imports."""

    def __init__(self, tree: ast.Module) -> None:
        self.functions: dict[str, _Function] = {}
        self._imports: dict[str, str] = {}
        for node in ast.walk(tree):
            if isinstance(node, _Function):
                self.functions.setdefault(node.name, node)
            elif isinstance(node, ast.Import):
                for name in node.names:
                    top = name.name.partition(".")[0]
                    self._imports[name.asname or top] = name.name if name.asname else top
            elif isinstance(node, ast.ImportFrom) and node.module:
                for name in node.names:
                    self._imports[name.asname or name.name] = f"{node.module}.{name.name}"

    def agents(self) -> Iterator[_Function]:
        """Yield the functions that `runyard.agent` decorates."""
        for function in self.functions.values():
            if any(self.full_name(item) == "runyard.agent" for item in function.decorator_list):
                yield function

    def full_name(self, node: ast.expr) -> str:
        """Return the dotted name of an expression; empty for other expressions."""
        match node:
            case ast.Name(id=name):
                return self._imports.get(name, name)
            case ast.Attribute(value=value, attr=attr):
                owner = self.full_name(value)
                return f"{owner}.{attr}" if owner else ""
            case _:
                return ""


class _Reader:
    """Reads one agent and the functions that it calls."""

    def __init__(self, module: _Module, context: str) -> None:
        self._module = module
        self._context = context
        self._read: set[str] = set()

    def read(self, function: _Function) -> Iterator[tuple[int, str]]:
        """Yield the line and the message of each finding."""
        self._read.add(function.name)
        steps = set(self._steps_in(function))
        for node in self._without(function, steps):
            if isinstance(node, ast.Call):
                yield from self._check(node)
        for name in steps:
            step = self._module.functions.get(name)
            if step is not None:
                yield from self._check_step(step)

    def _check(self, call: ast.Call) -> Iterator[tuple[int, str]]:
        name = self._module.full_name(call.func)
        advice = _RULES.get(name) or next(
            (
                advice
                for rule, advice in _RULES.items()
                if rule.endswith(".*") and name.startswith(rule[:-1])
            ),
            None,
        )
        if advice is not None:
            yield call.lineno, f"{name}() can differ in a replay: {advice}"
        inner = self._module.functions.get(name)
        if inner is not None and name not in self._read:
            yield from self.read(inner)

    def _check_step(self, step: _Function) -> Iterator[tuple[int, str]]:
        for node in ast.walk(step):
            if isinstance(node, ast.Call) and self._is_operation(node.func, _CONTEXT_METHODS):
                yield node.lineno, f"the step {step.name}() uses ctx: a step has no operations"

    def _steps_in(self, function: _Function) -> Iterator[str]:
        """Yield the names of the functions that are passed to `ctx.step`."""
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and self._is_operation(node.func, _STEP_METHODS):
                yield from (item.id for item in node.args[1:2] if isinstance(item, ast.Name))

    def _without(self, function: _Function, steps: set[str]) -> Iterator[ast.AST]:
        """Yield the nodes of a function, without its steps and the lambdas that it passes."""
        pending: list[ast.AST] = list(function.body)
        while pending:
            node = pending.pop()
            if isinstance(node, ast.Lambda) or (isinstance(node, _Function) and node.name in steps):
                continue
            yield node
            pending.extend(ast.iter_child_nodes(node))

    def _is_operation(self, node: ast.expr, methods: frozenset[str]) -> bool:
        if not isinstance(node, ast.Attribute) or node.attr not in methods:
            return False
        owner = node.value
        if isinstance(owner, ast.Attribute) and owner.attr == "sync":
            owner = owner.value
        return isinstance(owner, ast.Name) and owner.id == self._context
