"""The recorded calls, once for the session."""

import pytest

from tests.permissions.recorded_functions import Used, record


@pytest.fixture(scope="session")
def used(tmp_path_factory: pytest.TempPathFactory) -> Used:
    """The rights that each function needed."""
    return record(tmp_path_factory.mktemp("permissions"))
