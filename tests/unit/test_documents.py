"""Tests named in the docs exist."""

import re
from pathlib import Path

import pytest

NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
SECURITY = Path("docs/explanation/security.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("file", "test"), NAMED.findall(SECURITY))
def test_every_test_named_by_the_threat_model_exists(file: str, test: str) -> None:
    source = Path(file).read_text(encoding="utf-8")
    assert re.search(rf"^def {test}\(", source, re.MULTILINE)


def test_every_threat_has_a_test() -> None:
    threats = SECURITY.partition("## Threats")[2].partition("\n## ")[0].split("\n### ")[1:]
    assert len(threats) >= 5
    assert [threat.splitlines()[0] for threat in threats if not NAMED.search(threat)] == []
