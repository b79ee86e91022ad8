"""A project of its own, for tests that need an empty inbox or an empty list."""

from collections.abc import Iterator

import pytest

from runyard_service.adapters.stores import Stores
from runyard_service.domain.ids import new_id
from tests.support.service import Service


@pytest.fixture
def project(service: Service, stores: Stores) -> Iterator[Service]:
    """Yield the service with a key of a new project."""
    secret = f"ry_test_{new_id()}"
    stores.access_keys.save(secret, project_id=f"project-{new_id()}", org_id="org")
    running = Service(service.base_url, secret)
    yield running
    running.close()
