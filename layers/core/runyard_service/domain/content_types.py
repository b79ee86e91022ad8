"""What a file is: its type by name, by declaration and by content, and a name that harms nobody.

Content has the last word, as far as a file's first bytes tell it: a declared type that contradicts
them is corrected. A small table of our own, so that the answer is the same on every machine.
"""

import codecs
import mimetypes
import re
import unicodedata

# So many first bytes are looked at.
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
# What no text has: control characters other than tab, line feed, form feed, carriage return, ESC.
_CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")


def parse_mime_type(declared: str | None) -> str | None:
    """A declared type in small letters without its parameters; None where it is none."""
    mime_type = (declared or "").partition(";")[0].strip().lower()
    return mime_type if _MIME_TYPE.fullmatch(mime_type) else None


def detect_type(head: bytes, name: str, declared: str | None) -> str:
    """The type of a file that begins with `head` (its first HEAD_BYTES, or all of it)."""
    claims = [claim for claim in (parse_mime_type(declared), _by_name(name)) if claim]
    for pattern, mime_type in _MAGIC:
        if pattern.match(head):
            if mime_type != ZIP:
                return mime_type
            return next((claim for claim in claims if _ZIPPED.fullmatch(claim)), ZIP)
    claims = [claim for claim in claims if claim not in _BY_MAGIC and claim != UNKNOWN]
    if _looks_like_text(head):
        # A type that nobody here knows may well be text: it contradicts nothing.
        fitting = (one for one in claims if is_text(one) or not _NEVER_TEXT.match(one))
        return next(fitting, PLAIN_TEXT)
    return next((claim for claim in claims if not is_text(claim)), UNKNOWN)


def is_text(mime_type: str) -> bool:
    """Whether files of this type can be read as text."""
    return mime_type.startswith("text/") or bool(_TEXT_APPLICATIONS.fullmatch(mime_type))


def safe_name(name: str) -> str:
    """The last part of a path, without control characters, at most 255 characters long."""
    last = re.split(r"[/\\]", name)[-1]
    shown = "".join(char for char in last if unicodedata.category(char)[0] != "C").strip()
    if shown in ("", ".", ".."):
        return "file"
    if len(shown) > MAX_NAME_LENGTH:
        stem, dot, extension = shown.rpartition(".")
        if dot and stem and len(extension) < 20:
            return stem[: MAX_NAME_LENGTH - len(extension) - 1] + dot + extension
    return shown[:MAX_NAME_LENGTH]


def _by_name(name: str) -> str | None:
    dot = name.rfind(".")
    extension = name[dot:].lower() if dot >= 0 else ""
    # The standard library's own table, not the one of the machine (/etc/mime.types).
    return _EXTENSIONS.get(extension) or mimetypes.MimeTypes().types_map[1].get(extension)


def _looks_like_text(head: bytes) -> bool:
    try:
        # The head may end within a character.
        text = codecs.getincrementaldecoder("utf-8")().decode(head, final=len(head) < HEAD_BYTES)
    except UnicodeDecodeError:
        return False
    return not _CONTROL.search(text)
