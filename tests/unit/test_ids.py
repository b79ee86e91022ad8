"""Ids of requests: one parser accepts each form of a UUID, and returns the stored form."""

import pytest

from runyard_service.domain.ids import new_id, parse_id

STORED = "8c2c8e2e-2f0a-4f4e-9f4f-6e1a52f0a001"


@pytest.mark.parametrize(
    "text",
    [
        STORED,
        STORED.upper(),
        STORED.replace("-", ""),
        f"urn:uuid:{STORED}",
        f"URN:UUID:{STORED.upper()}",
        f"{{{STORED}}}",
    ],
)
def test_each_form_of_a_uuid_has_one_stored_form(text: str) -> None:
    assert parse_id(text) == STORED


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        STORED[:-1],
        f"{STORED}\n",
        f" {STORED}",
        f"{{{STORED}",
        f"urn:uuid:{{{STORED}}}",
        STORED.replace("-", "", 1),
        STORED.replace("8", "\N{FULLWIDTH DIGIT EIGHT}", 1),
        "x" * 5_000,
    ],
)
def test_other_texts_are_no_ids(text: str) -> None:
    assert parse_id(text) is None


def test_new_ids_have_the_stored_form() -> None:
    assert parse_id(id_ := new_id()) == id_
