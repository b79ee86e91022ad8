"""Tests and files that Markdown pages name exist."""

import re
import subprocess
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


def pages() -> list[Path]:
    """Return every tracked Markdown page."""
    listed = subprocess.run(
        ["git", "ls-files", "*.md"], check=True, stdout=subprocess.PIPE, text=True
    )
    return [Path(name) for name in listed.stdout.splitlines()]


def missing_targets(page: Path, text: str) -> list[str]:
    """Return the relative links of the page that lead to no file."""
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    links = re.findall(r"\]\(([^)\s]+)\)", prose)
    files = [link.partition("#")[0] for link in links if not re.match(r"[a-z]+:", link)]
    return [file for file in files if file and not (page.parent / file).exists()]


def test_every_relative_link_leads_to_a_file() -> None:
    broken = {
        str(page): missing
        for page in pages()
        if (missing := missing_targets(page, page.read_text(encoding="utf-8")))
    }
    assert broken == {}


def test_a_broken_link_is_reported() -> None:
    text = "[here](README.md) [gone](docs/gone.md#part) [web](https://example.com)"
    assert missing_targets(Path("README.md"), text) == ["docs/gone.md"]
