"""Control characters of models and tools never reach the terminal."""

import json

import pytest

from runyard.cli.output.escape import (
    compact_json,
    escape,
    escape_json,
    escape_lines,
    indented_json,
)

CONTROLS = [chr(code) for code in (*range(0x20), 0x7F, *range(0x80, 0xA0))]
DIRECTIONS = ["\u200e", "\u200f", "\u061c", "\u202a", "\u202e", "\u2066", "\u2069"]
SEPARATORS = ["\u2028", "\u2029"]


@pytest.mark.parametrize("character", [*CONTROLS, *DIRECTIONS, *SEPARATORS])
def test_a_control_character_is_visible(character: str) -> None:
    escaped = escape(f"a{character}b")
    assert escaped.startswith("a\\")
    assert escaped.isprintable()


def test_other_characters_stay() -> None:
    text = "Grüße, 日本語 👩‍💻 “x” \\n"
    assert escape(text) == text


def test_lines_stay_lines() -> None:
    assert escape_lines("a\r\nb\tc\rd\x1b[2J\n") == "a\nb    c\\rd\\e[2J\n"


@pytest.mark.parametrize("character", [*CONTROLS, *DIRECTIONS, *SEPARATORS, "\ud800", "é"])
def test_json_has_the_same_value_without_control_characters(character: str) -> None:
    value = {f"k{character}": [f"v{character}"]}
    for text in (compact_json(value), escape_json(json.dumps(value, ensure_ascii=False))):
        assert json.loads(text) == value
    assert compact_json(value).isprintable()
    assert indented_json(value).replace("\n", "").isprintable()
    assert json.loads(indented_json(value)) == value
