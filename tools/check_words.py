"""Find private and archaic words in code, tests, agents, template, docs and messages.

Reads `tools/word-list.txt` (word or phrase, and what to write instead) and
`tools/allowed-words.txt` (standard uses and their reasons). Prints one line for each hit and exits
with 1 if there is a hit, or if an allowed use matches nothing any more.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

TOOLS = Path(__file__).parent
SUFFIXES = {".py", ".md", ".yaml", ".yml", ".toml", ".json", ".sh", ".html", ".txt"}
SUFFIXES |= {".css", ".js", ".mjs", ".ts", ".tsx"}
NAMES = {"Makefile", "run", "run.sh"}
# Standard texts of others, generated files, and these lists.
SKIPPED = re.compile(
    r"^(LICENSE|CODE_OF_CONDUCT\.md|NOTICE|openapi\.json|requirements/|.*requirements\.txt"
    r"|.*package-lock\.json|.*/openapi\.ts|.*/console/static/|tools/(word-list|allowed-words)\.txt)"
)
_TOKEN = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


@dataclass
class Allowed:
    """One standard use: text that matches `pattern` below `path` is not checked."""

    path: str
    pattern: re.Pattern[str]
    used: bool = False

    def remove_from(self, text: str) -> str:
        """Return the text with every match replaced by spaces, so that columns stay."""
        cleaned, count = self.pattern.subn(lambda match: " " * len(match[0]), text)
        self.used = self.used or bool(count)
        return cleaned


@dataclass
class WordList:
    """Words, phrases, and the standard term for each."""

    words: dict[str, str] = field(default_factory=dict)
    phrases: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> "WordList":
        """Read lines `entry = standard term`; `#` starts a comment."""
        found = cls()
        for line in _lines(path):
            entry, _, term = line.partition(" = ")
            (found.phrases if " " in entry else found.words)[entry] = term
        return found

    def hits(self, line: str) -> Iterator[tuple[str, str]]:
        """Yield each word or phrase of the list in the line, with its standard term."""
        tokens = [token.lower() for token in _TOKEN.findall(line)]
        for token in tokens:
            if token in self.words:
                yield token, self.words[token]
        text = f" {' '.join(tokens)} "
        for phrase, term in self.phrases.items():
            if f" {phrase} " in text:
                yield phrase, term


def read_allowed(path: Path) -> list[Allowed]:
    """Read lines `[path:PREFIX ]REGEX -- reason`."""
    result = []
    for line in _lines(path):
        pattern, _, reason = line.rpartition(" -- ")
        if not reason or not pattern:
            sys.exit(f"{path}: no reason in: {line}")
        prefix = ""
        if pattern.startswith("path:"):
            head, _, pattern = pattern.partition(" ")
            prefix = head.removeprefix("path:")
        result.append(Allowed(prefix, re.compile(pattern)))
    return result


def _lines(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def checked_files(starts: list[str]) -> list[str]:
    """Return the tracked files to check, below the given paths."""
    listed = subprocess.run(
        ["git", "ls-files", "--", *starts], check=True, stdout=subprocess.PIPE, text=True
    ).stdout.splitlines()
    return [
        name
        for name in listed
        if (Path(name).suffix in SUFFIXES or Path(name).name in NAMES)
        and not SKIPPED.match(name)
        and Path(name).is_file()
    ]


def main(starts: list[str]) -> int:
    """Check the files below `starts`, all if there is none; return the exit code."""
    words = WordList.read(TOOLS / "word-list.txt")
    allowed = read_allowed(TOOLS / "allowed-words.txt")
    count = 0
    for name in checked_files(starts):
        uses = [use for use in allowed if name.startswith(use.path)]
        for number, line in enumerate(Path(name).read_text(encoding="utf-8").splitlines(), 1):
            for use in uses:
                line = use.remove_from(line)
            for word, term in words.hits(line):
                print(f"{name}:{number}: {word} -> {term}")
                count += 1
    unused = [] if starts else [use.pattern.pattern for use in allowed if not use.used]
    for pattern in unused:
        print(f"tools/allowed-words.txt: matches nothing: {pattern}")
    print(f"{count} private words" if count else "no private words", file=sys.stderr)
    return 1 if count or unused else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
