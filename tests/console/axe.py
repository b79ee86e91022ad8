"""Check a page with axe-core, the rules for people who use a keyboard or a screen reader.

The Chrome DevTools Protocol evaluates the script, so the page's content security policy stays.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

_SCRIPT = Path(__file__).resolve().parents[2] / "console/node_modules/axe-core/axe.min.js"

needs_axe = pytest.mark.skipif(
    not _SCRIPT.exists(), reason="needs npm, then make console/node_modules/.installed"
)


@lru_cache
def _script() -> str:
    return _SCRIPT.read_text()


def violations(page: Page) -> list[str]:
    """Return each broken rule with the elements that break it."""
    session = page.context.new_cdp_session(page)
    if not _evaluate(session, "'axe' in window"):
        _evaluate(session, _script() + "; true")
    found = _evaluate(session, "axe.run(document, {resultTypes: ['violations']})")
    session.detach()
    return [
        f"{rule['id']}: {node['html'][:200]} ({node['failureSummary']})"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


def _evaluate(session: Any, expression: str) -> Any:
    answer = session.send(
        "Runtime.evaluate",
        {"expression": expression, "awaitPromise": True, "returnByValue": True},
    )
    assert "exceptionDetails" not in answer, answer["exceptionDetails"]
    return answer["result"].get("value")
