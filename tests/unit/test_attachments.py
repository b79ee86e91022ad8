"""The files of a run in the model's input: content of some, a description of the others."""

from runyard_service.agents.models.attachments import (
    MAX_BINARY_TOGETHER,
    MAX_IMAGE_BYTES,
    MAX_PDF_BYTES,
    MAX_TEXT_BYTES,
    MAX_TEXT_TOGETHER,
    contents_of,
    for_provider,
    sent_bytes,
)
from runyard_service.agents.models.base import Attachment, UserMessage


def model_input(*attachments: Attachment) -> list[str | Attachment]:
    first, *rest = contents_of(UserMessage("Look.", attachments))
    assert first == "Look."
    return rest


def test_each_kind_has_its_limit() -> None:
    assert sent_bytes(
        [
            ("text/plain", 10),
            ("text/csv", MAX_TEXT_BYTES + 1),
            ("image/png", MAX_IMAGE_BYTES),
            ("image/png", MAX_IMAGE_BYTES + 1),
            ("image/tiff", 10),
            ("application/zip", 10),
        ]
    ) == [10, MAX_TEXT_BYTES, MAX_IMAGE_BYTES, 0, 0, 0]
    sizes = [("application/pdf", MAX_PDF_BYTES), ("application/pdf", 1)]
    assert sent_bytes(sizes) == [MAX_PDF_BYTES, 0]


def test_all_files_together_have_a_limit() -> None:
    assert sum(sent_bytes([("text/plain", 10**6)] * 20)) == MAX_TEXT_TOGETHER
    assert sum(sent_bytes([("image/png", MAX_IMAGE_BYTES)] * 20)) <= MAX_BINARY_TOGETHER


def test_text_is_delimited_by_a_random_marker() -> None:
    (text,) = model_input(
        Attachment("id-1", 'a "b".txt', "text/plain", 5, "Grüß"[:3].encode() + b"!")
    )
    assert text == (
        '--- file id-1: "a \\"b\\".txt" (text/plain, 5 bytes) ---\nGrü!\n--- end of file id-1 ---'
    )


def test_truncated_text_is_marked_as_truncated() -> None:
    # Truncated in the middle of the second character.
    (text,) = model_input(Attachment("id-1", "a.txt", "text/plain", 900, "aü".encode()[:2]))
    assert text == (
        '--- file id-1: "a.txt" (text/plain, 900 bytes), CUT: only the first 2 bytes follow ---\n'
        "a\n--- end of file id-1 ---"
    )


def test_an_image_follows_the_line_that_names_it() -> None:
    image = Attachment("id-1", "a.png", "image/png", 3, b"png")
    assert model_input(image) == [
        '--- file id-1: "a.png" (image/png, 3 bytes), attached ---',
        image,
    ]


def test_only_openai_gets_text_instead_of_bytes() -> None:
    image = Attachment("id-1", "a.png", "image/png", 3, b"png")
    text = Attachment("id-2", "a.txt", "text/plain", 3, b"abc")
    for provider in ("anthropic", "bedrock", "scripted"):
        assert for_provider(image, provider) == image
    assert for_provider(text, "openai") == text
    sent = for_provider(image, "openai")
    assert sent == Attachment("id-1", "a.png", "image/png", 3, uri="data:image/png;base64,cG5n")
    assert model_input(sent) == [model_input(image)[0], sent]


def test_other_files_are_described_by_name_type_and_size() -> None:
    assert model_input(
        Attachment("id-1", "a.zip", "application/zip", 3),
        Attachment("id-2", "a.pdf", "application/pdf", 10**8),
    ) == [
        '--- file id-1: "a.zip" (application/zip, 3 bytes), content not sent ---',
        '--- file id-2: "a.pdf" (application/pdf, 100000000 bytes), too large to send ---',
    ]
