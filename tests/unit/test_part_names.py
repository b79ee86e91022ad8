"""File names of multipart parts: the forms of RFC 5987 and RFC 2047."""

import pytest

from runyard_service.api.part_names import decode_filename

WORDS = "=?utf-8?B?5paw5bu6LmRvY3g=?="


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ("filename*=utf-8''%E6%96%B0%E5%BB%BA.docx", "新建.docx"),
        (f"filename=\"{WORDS}\"; filename*=utf-8''%E6%96%B0%E5%BB%BA.docx", "新建.docx"),
        ("filename=\"x.txt\"; filename*=UTF-8'en'%e2%82%ac.txt", "€.txt"),
        ("filename*=iso-8859-1''%DCber.txt; name=files", "Über.txt"),
        ("filename*=utf-8''%DCber.txt", "\ufffdber.txt"),
        (f'filename="{WORDS}"', "新建.docx"),
        (f"filename={WORDS}; name=files", "新建.docx"),
        ('filename="=?iso-8859-1?Q?=DCber?= =?utf-8?Q?_2.txt?="', "Über 2.txt"),
        ('filename="plain.txt"', None),
        ('filename="新建.docx"', None),
        ("filename=\"a; filename*=utf-8''b.txt\"", None),
        ("filename*=idna''b.txt", None),
        ('filename="=?undefined?B?5paw?="', None),
        ('filename="=?utf-8?B?a?="', None),
        ('filename="=?utf-8?B?5paw?=.docx"', None),
    ],
)
def test_a_file_name_is_decoded(parameters: str, name: str | None) -> None:
    assert decode_filename(f"form-data; name=files; {parameters}".encode()) == name
