"""Detect the MIME type of a file from its name, declared type and content; make names safe.

The content decides if the first bytes identify the type: they override a declared type that
contradicts them. The table is our own: the result is the same on every machine.
"""

import codecs
import mimetypes
import re
import unicodedata

# The number of first bytes that `detect_type` reads.
HEAD_BYTES = 4096
MAX_NAME_LENGTH = 255
UNKNOWN = "application/octet-stream"
PLAIN_TEXT = "text/plain"
ZIP = "application/zip"
PDF = "application/pdf"
IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})

_MAGIC = (
    (re.compile(rb"%PDF-"), PDF),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "image/webp"),
    (re.compile(rb"PK(\x03\x04|\x05\x06|\x07\x08)"), ZIP),
)
_BY_MAGIC = {mime_type for _, mime_type in _MAGIC}

_OFFICE = "application/vnd.openxmlformats-officedocument."
_EXTENSIONS = {
    ".csv": "text/csv",
    ".docx": f"{_OFFICE}wordprocessingml.document",
    ".jsonl": "application/x-ndjson",
    ".log": PLAIN_TEXT,
    ".md": "text/markdown",
    ".pptx": f"{_OFFICE}presentationml.presentation",
    ".toml": "application/toml",
    ".tsv": "text/tab-separated-values",
    ".webp": "image/webp",
    ".xlsx": f"{_OFFICE}spreadsheetml.sheet",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
}
_TEXT_APPLICATIONS = re.compile(
    r"application/((x-)?(json|ndjson|yaml|toml|sql|sh|javascript|www-form-urlencoded)"
    r"|xml|jsonl|csv|graphql)|[^/]+/[^/]+\+(json|xml|yaml)"
)
# Formats that are ZIP archives inside.
_ZIPPED = re.compile(
    r"application/(zip|x-zip-compressed|java-archive|epub\+zip|[^/]+\+zip"
    r"|vnd\.openxmlformats-.+|vnd\.oasis\.opendocument\..+|vnd\.ms-.+)"
)
_NEVER_TEXT = re.compile(r"(image|audio|video|font)/")
_MIME_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")
# Format characters that belong to words and emoji: zero width joiner and non-joiner.
_JOINERS = "\u200c\u200d"
# Control characters that no text contains: all but tab, line feed, form feed, carriage return
# and ESC.
_CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")


def parse_mime_type(declared: str | None) -> str | None:
    """Return a declared type in lower case without parameters; None if it is invalid."""
    mime_type = (declared or "").partition(";")[0].strip().lower()
    return mime_type if _MIME_TYPE.fullmatch(mime_type) else None


def detect_type(head: bytes, name: str, declared: str | None) -> str:
    """Return the type of a file. `head` is its first HEAD_BYTES bytes, or the whole file."""
    claims = [claim for claim in (parse_mime_type(declared), _by_name(name)) if claim]
    for pattern, mime_type in _MAGIC:
        if pattern.match(head):
            if mime_type != ZIP:
                return mime_type
            return next((claim for claim in claims if _ZIPPED.fullmatch(claim)), ZIP)
    claims = [claim for claim in claims if claim not in _BY_MAGIC and claim != UNKNOWN]
    if _looks_like_text(head):
        # A type that this module does not know may be text: no byte contradicts it.
        matching = (claim for claim in claims if is_text(claim) or not _NEVER_TEXT.match(claim))
        return next(matching, PLAIN_TEXT)
    return next((claim for claim in claims if not is_text(claim)), UNKNOWN)


def is_text(mime_type: str) -> bool:
    """Return whether files of this type can be read as text."""
    return mime_type.startswith("text/") or bool(_TEXT_APPLICATIONS.fullmatch(mime_type))


def safe_name(name: str) -> str:
    """Return the last part of a path without control characters, at most 255 characters."""
    last = re.split(r"[/\\]", name)[-1]
    visible = (char for char in last if char in _JOINERS or unicodedata.category(char)[0] != "C")
    cleaned = "".join(visible).strip()
    if cleaned.strip(_JOINERS) in ("", ".", ".."):
        return "file"
    if len(cleaned) > MAX_NAME_LENGTH:
        stem, dot, extension = cleaned.rpartition(".")
        if dot and stem and len(extension) < 20:
            return stem[: MAX_NAME_LENGTH - len(extension) - 1] + dot + extension
    return cleaned[:MAX_NAME_LENGTH]


def _by_name(name: str) -> str | None:
    dot = name.rfind(".")
    extension = name[dot:].lower() if dot >= 0 else ""
    # The table of the standard library, not the table of the machine (/etc/mime.types).
    return _EXTENSIONS.get(extension) or mimetypes.MimeTypes().types_map[1].get(extension)


def _looks_like_text(head: bytes) -> bool:
    try:
        # The head can end inside a character.
        text = codecs.getincrementaldecoder("utf-8")().decode(head, final=len(head) < HEAD_BYTES)
    except UnicodeDecodeError:
        return False
    return not _CONTROL.search(text)
