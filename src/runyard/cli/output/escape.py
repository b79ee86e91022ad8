"""Make control characters of models, tools and users visible: they must not move the cursor."""

import json
import re
from typing import Any

# C0, DEL and C1; line and paragraph separators; characters that change the direction of text.
_CONTROLS = "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
_ANY_CONTROL = re.compile(f"[{_CONTROLS}]")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\x1b": "\\e"}


def escape(text: str) -> str:
    r"""Return the text as one line; each control character is an escape such as `\e` or `\x07`."""
    return _replace_surrogates(_ANY_CONTROL.sub(_escaped, text))


def escape_lines(text: str) -> str:
    """Return the text with its line ends and tabs; other control characters are escaped."""
    lines = text.replace("\r\n", "\n").replace("\t", "    ").split("\n")
    return "\n".join(map(escape, lines))


def escape_json(text: str) -> str:
    r"""Return JSON of the same value; control characters that JSON allows become `\u…`.

    JSON escapes C0 characters itself, and the others are only in strings.
    """
    body = text.rstrip("\r\n")
    return _CONTROL_IN_JSON.sub(lambda match: f"\\u{ord(match[0]):04x}", body)


_CONTROL_IN_JSON = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def compact_json(value: Any) -> str:
    """Return the value as JSON in one line, without control characters."""
    return _dump(value, separators=(",", ":"))


def indented_json(value: Any) -> str:
    """Return the value as JSON with an indent of two spaces, without control characters."""
    return _dump(value, indent=2)


def _dump(value: Any, **options: Any) -> str:
    return _replace_surrogates(escape_json(json.dumps(value, ensure_ascii=False, **options)))


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    code = ord(character)
    return _SHORT.get(character) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")


def _replace_surrogates(text: str) -> str:
    """A lone surrogate has no UTF-8: write its escape."""
    return _LONE_SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
