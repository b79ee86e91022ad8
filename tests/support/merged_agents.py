"""The sample agents and the agents of the tests in one folder."""

from pathlib import Path


def merged_agents(folder: Path) -> Path:
    """Write the sample agents and those of `tests/agents` into a new folder; return it."""
    for source in (Path("agents"), Path("tests/agents")):
        for file in source.rglob("*.yaml"):
            target = folder / file.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("a", encoding="utf-8") as merged:
                merged.write(file.read_text(encoding="utf-8") + "\n")
    return folder
