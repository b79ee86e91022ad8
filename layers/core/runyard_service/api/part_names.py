"""Decode the file names of multipart parts.

RFC 7578 allows only UTF-8 in `filename="…"`. Clients also send two other forms: `filename*` of RFC
5987, and the encoded words of RFC 2047 (.NET sends both, for the same name).
"""

import re
from email.errors import HeaderParseError
from email.header import decode_header
from urllib.parse import unquote_to_bytes

_QUOTED = re.compile(rb'"(?:[^"\\]|\\.)*"')
_EXTENDED = re.compile(rb";\s*filename\*\s*=\s*([\w-]*)'[^']*'([^;\s]*)", re.IGNORECASE)
_ENCODED_WORDS = re.compile(
    rb';\s*filename\s*=\s*"?((?:=\?[\w-]+\?[bq]\?[^?"]*\?=\s*)+)"?\s*(?:;|$)', re.IGNORECASE
)
# Others, such as `idna`, can be slow or can raise other errors.
_CHARSETS = frozenset(
    {
        *("utf-8", "us-ascii", "iso-8859-1", "iso-8859-15", "windows-1251", "windows-1252"),
        *("big5", "euc-jp", "euc-kr", "gb18030", "gb2312", "gbk", "iso-2022-jp", "koi8-r"),
        "shift_jis",
    }
)


def decode_filename(disposition: bytes) -> str | None:
    """Return the file name of a Content-Disposition header in one of the two other forms.

    Return None if the header has neither, or a charset that is not allowed. `filename*` wins.
    """
    extended = _EXTENDED.search(_QUOTED.sub(b'""', disposition))
    if extended is not None:
        charset = extended[1].decode("ascii", "replace").lower()
        if charset in _CHARSETS:
            return unquote_to_bytes(extended[2]).decode(charset, "replace")
    words = _ENCODED_WORDS.search(disposition)
    return None if words is None else _decode_words(words[1].decode("ascii", "replace"))


def _decode_words(words: str) -> str | None:
    try:
        parts = decode_header(words)
    except HeaderParseError:
        return None
    if any((charset or "us-ascii") not in _CHARSETS for _, charset in parts):
        return None
    return "".join(
        part if isinstance(part, str) else part.decode(charset or "us-ascii", "replace")
        for part, charset in parts
    )
