"""JSON responses: valid for every JSON parser, in as few bytes as possible."""

from decimal import Decimal

import pytest

from runyard_service.api.http import JsonResponse


def test_json_is_compact_and_does_not_escape_text() -> None:
    response = JsonResponse({"a": [1, None, "Grüße"]}, 201)
    assert response.body == '{"a":[1,null,"Grüße"]}'.encode()
    assert response.status_code == 201
    assert response.headers["content-type"] == "application/json"


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_json_does_not_have_is_null(number: float) -> None:
    assert JsonResponse([number]).body == b"[null]"


def test_a_decimal_is_an_exact_string() -> None:
    assert JsonResponse([Decimal("0.10")]).body == b'["0.10"]'
