"""Make every character of a text visible to the person who reads it.

Bidirectional controls can show an account number in another order. Invisible characters can hide
text. So a person could approve something else than what is sent.
"""

import re
import unicodedata

# Invisible, although their category is that of letters and combining characters: fillers, blank
# Braille, grapheme joiner and variation selectors.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0100-\U000e01ef]"
)
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def escape_invisible(text: str) -> str:
    r"""Return the text with escapes, such as `\u202e`, for all invisible characters.

    Line feeds and tabs stay.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_visible, text))


def _visible(char: str) -> str:
    is_hidden = unicodedata.category(char) in _HIDDEN_CATEGORIES or _INVISIBLE.match(char)
    if char in "\n\t" or not is_hidden:
        return char
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"
