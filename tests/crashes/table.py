"""The table of crashes in `docs/architecture.md`, made from the verdicts of the matrix."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.crashes.matrix import Verdict

DOCUMENT = Path("docs/architecture.md")
BEGIN = "<!-- Made by `make docs-crash-table` from what the tests found. -->"
END = "<!-- The end of what was made. -->"
_HEAD = ("| Verb | Lost | What is left behind | Who puts it right | When |\n|---|---|---|---|---|",)
_VERBS = (
    *("start_run", "advance_run", "request_input", "submit_input", "cancel_run", "close_run"),
    "sweep_runs",
)
# In the order in which they are named where several are found.
_HELPERS = {
    "nobody": ("nobody needs to", "\u2013"),
    "caller": ("the caller asks again", "then"),
    "machine": ("the machine's retry", "1 s and more"),
    "person": ("a person, whom the machine's retry asks", "when they answer"),
    "rule": ("EventBridge tries again", "minutes"),
    "sweep": ("the sweep", "within 7 min"),
    "late_sweep": ("the sweep", "within 21 min"),
    "next sweep": ("the next sweep", "5 min"),
    "timer": ("the execution, at the end of its wait", "then"),
}
_TOOLS = ("http.", "lambda.", "python.")
_READS = ("Get", "Query", "Head", "Describe", "BatchGet")


def table(verdicts: Sequence[Verdict]) -> str:
    """The lines of the table, a row for each state that is left behind and each way out of it."""
    rows: dict[tuple[str, str, str, str], list[str]] = {}
    for verb in _VERBS:
        ways = _ways([one for one in verdicts if one.point.at.verb == verb])
        for (lost, left), helpers in ways.items():
            found = [_HELPERS[name] for name in _HELPERS if name in helpers]
            who, when = (", or ".join(dict.fromkeys(each)) for each in zip(*found, strict=True))
            rows.setdefault((verb, left, who, when), []).append(lost)
    lines = [
        f"| `{verb}` | {_listed(lost)} | {left} | {who} | {when} |"
        for (verb, left, who, when), lost in rows.items()
    ]
    return "\n".join([*_HEAD, *lines])


def _listed(lost: Iterable[str]) -> str:
    """What is lost before and after is lost at it."""
    edges: dict[str, list[str]] = {}
    for one in lost:
        edge, _, what = one.partition(" ")
        edges.setdefault(what, []).append(edge)
    return ", ".join(
        f"{edge[0] if len(set(edge)) == 1 else 'at'} {what}" for what, edge in edges.items()
    )


def _ways(verdicts: Iterable[Verdict]) -> dict[tuple[str, str], set[str]]:
    """By what was lost and what is left: who puts it right."""
    ways: dict[tuple[str, str], set[str]] = {}
    for verdict in verdicts:
        fault = verdict.point.at.fault
        if fault.effect == "cut" or not _is_ours(fault.call, fault.effect):
            continue
        lost = "at a read" if _is_read(fault.call) else f"{fault.edge} {_short(fault.call)}"
        ways.setdefault((lost, _left(verdict, lost)), set()).add(verdict.helper)
    return ways


def _left(verdict: Verdict, lost: str) -> str:
    """How much of a reply that breaks off has been put is a matter of milliseconds."""
    is_part = verdict.left.endswith(".delta`") or lost == "after the reply"
    return "a part of a reply" if is_part else verdict.left


def _is_ours(call: str, effect: str) -> bool:
    """Not so where the connection to a model or a tool is lost: that is told below the table."""
    return effect == "kill" or not call.startswith((*_TOOLS, "model."))


def _is_read(call: str) -> bool:
    return call.partition(".")[2].startswith(_READS) and not call.startswith(_TOOLS)


def _short(call: str) -> str:
    if call.startswith(_TOOLS):
        return "an unsafe call" if call.endswith("/refunds") else "a call"
    if call.startswith("model."):
        return "the reply"
    service, _, rest = call.partition(".")
    operation, _, about = rest.partition(" ")
    if service == "dynamodb":
        return " and ".join(f"`{name}`" for name in about.split("+")[-2:])
    return f"`{operation}`" if not about else f"S3's {about}"


def document(text: str, made: str) -> str:
    """The document with the table in its place."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{made}\n{END}{after}"
