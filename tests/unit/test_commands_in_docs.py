"""The commands that README and docs/ name are there."""

import importlib.util
import re
from pathlib import Path

PAGES = [Path("README.md"), Path("CONTRIBUTING.md"), *sorted(Path("docs").glob("[!a]*/*.md"))]


def _named(pattern: str) -> list[tuple[str, str]]:
    """What the pattern finds in code, on which page."""
    return [
        (page.name, found)
        for page in PAGES
        for code in re.findall(r"```sh\n.*?```|`[^`\n]+`", page.read_text("utf-8"), re.DOTALL)
        for found in re.findall(pattern, code)
    ]


def test_every_make_target_is_one() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", Path("Makefile").read_text("utf-8"), re.MULTILINE))
    named = _named(r"(?:^|[`\n ])make ([a-z][a-z0-9-]*)")
    assert len(named) > 20
    assert [each for each in named if each[1] not in targets] == []


def test_every_module_is_one() -> None:
    named = _named(r"python -m ((?:runyard|benchmarks|tests)[\w.]*)")
    assert {"runyard.cli.keys", "runyard.cli.agents"} <= {name for _, name in named}
    assert [each for each in named if importlib.util.find_spec(each[1]) is None] == []
