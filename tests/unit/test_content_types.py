"""Content types of files: from the content first, then the declared type, then the name."""

import pytest

from runyard_service.domain.content_types import (
    HEAD_BYTES,
    detect_type,
    is_text,
    parse_mime_type,
    safe_name,
)

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
BINARY = b"\x00\x01\x02\xff\xfe"


@pytest.mark.parametrize(
    ("head", "mime_type"),
    [
        (b"%PDF-1.7\n%\xe2\xe3", "application/pdf"),
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "image/jpeg"),
        (b"GIF89a\x01\x00", "image/gif"),
        (b"RIFF\x24\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"PK\x03\x04\x14\x00", "application/zip"),
        (b"PK\x05\x06" + b"\x00" * 18, "application/zip"),
    ],
)
@pytest.mark.parametrize("declared", [None, "", "text/plain", "image/bmp", "nonsense"])
def test_the_content_overrides_the_declared_type(
    head: bytes, mime_type: str, declared: str | None
) -> None:
    assert detect_type(head, "notes.txt", declared) == mime_type


@pytest.mark.parametrize(
    ("head", "name", "declared", "mime_type"),
    [
        (b"a,b\n1,2\n", "x.csv", None, "text/csv"),
        (b"a,b\n1,2\n", "x", "text/csv; charset=utf-8", "text/csv"),
        (b"a,b\n1,2\n", "x.csv", "application/octet-stream", "text/csv"),
        (b'{"a": 1}', "x.json", None, "application/json"),
        (b"a: 1", "x.YML", None, "application/yaml"),
        (b"# Title", "README.md", None, "text/markdown"),
        (b"<svg/>", "x.svg", "image/svg+xml", "image/svg+xml"),
        (b"words", "x", None, "text/plain"),
        (b"", "empty", None, "text/plain"),
        (b"\xef\xbb\xbfwords", "x", None, "text/plain"),
        ("ä".encode() * HEAD_BYTES, "x", None, "text/plain"),
        # Truncated within a character.
        (("a" + "ä" * HEAD_BYTES).encode()[:HEAD_BYTES], "x", None, "text/plain"),
        # Declared as another type.
        (b"words", "x.png", "image/png", "text/plain"),
        (b"words", "x.pdf", "application/pdf", "text/plain"),
        (b"words", "x", "audio/mpeg", "text/plain"),
        (BINARY, "x.txt", "text/plain", "application/octet-stream"),
        (BINARY, "x.json", "application/json", "application/octet-stream"),
        (BINARY, "x.mp3", "text/plain", "audio/mpeg"),
        (BINARY, "x.png", "image/png", "application/octet-stream"),
        (BINARY, "x", "application/x-own", "application/x-own"),
        (BINARY, "x", None, "application/octet-stream"),
        # ZIP containers.
        (b"PK\x03\x04", "x.docx", None, DOCX),
        (b"PK\x03\x04", "x.bin", DOCX, DOCX),
        (b"PK\x03\x04", "x.bin", "application/epub+zip", "application/epub+zip"),
    ],
)
def test_the_type_of_a_file_is_detected(
    head: bytes, name: str, declared: str | None, mime_type: str
) -> None:
    assert detect_type(head, name, declared) == mime_type


@pytest.mark.parametrize(
    ("declared", "clean"),
    [
        ("Text/Plain; charset=utf-8", "text/plain"),
        (" image/png ", "image/png"),
        ("text", None),
        ("text/", None),
        ("text/pl ain", None),
        ("a/b\r\nX: y", None),
        (None, None),
    ],
)
def test_declared_types_are_normalized(declared: str | None, clean: str | None) -> None:
    assert parse_mime_type(declared) == clean


def test_readable_text_types_are_known() -> None:
    texts = ["text/x-python", "application/json", "application/ld+json", "image/svg+xml"]
    others = ["application/pdf", "image/png", "application/octet-stream", DOCX]
    assert [is_text(one) for one in texts + others] == [True] * 4 + [False] * 4


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\report.pdf", "report.pdf"),
        ("a\x00b\r\nc\x7f.txt", "abc.txt"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("half \ud800 pair", "half  pair"),
        ("\U0001f468\u200d\U0001f469\u200d\U0001f467.png",) * 2,
        ("\u0645\u06cc\u200c\u062e\u0648\u0627.txt",) * 2,
        ("\u200d..\u200c", "file"),
        ("Übersicht 2026, 終.csv", "Übersicht 2026, 終.csv"),
        ("", "file"),
        ("..", "file"),
        ("folder/", "file"),
        ("x" * 300 + ".pdf", "x" * 251 + ".pdf"),
        ("x" * 300, "x" * 255),
        ("." + "x" * 300, "." + "x" * 254),
    ],
)
def test_file_names_are_made_safe(name: str, safe: str) -> None:
    assert safe_name(name) == safe
