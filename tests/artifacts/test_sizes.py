"""What is built stays small enough to start fast."""

import pytest

from benchmarks.built_functions import functions, lacking
from benchmarks.zip_sizes import sizes, too_large


@pytest.mark.skipif(bool(lacking()), reason=f"nothing is built: {lacking()}")
def test_no_function_is_larger_than_its_ceiling() -> None:
    found = sizes()
    assert found.keys() == functions().keys()
    assert min(found.values()) > 1, "a layer is missing"
    assert too_large(found) == []


def test_a_function_above_its_ceiling_is_found() -> None:
    assert too_large({"api": 15.1, "run_step": 39.0, "sweep": 2.0}) == ["api"]
