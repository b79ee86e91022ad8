"""The recorded calls: recorded once a test session."""

import pytest

from tests.permissions.recorded_functions import Used, record


@pytest.fixture(scope="session")
def used(tmp_path_factory: pytest.TempPathFactory) -> Used:
    """Return the actions that each function needed."""
    return record(tmp_path_factory.mktemp("permissions"))
