"""The reduced set of botocore data for AWS clients: it has everything that the functions use."""

import inspect
import re

import pytest
from botocore.loaders import Loader

from runyard_service import container
from runyard_service.adapters import aws_session

SERVICES = sorted(set(re.findall(r'session\.client\(\s*"(\w+)"', inspect.getsource(container))))


def test_every_service_called_by_a_function_is_included() -> None:
    assert SERVICES
    assert sorted(aws_session._SERVICES) == SERVICES


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("kind", ["service-2", "endpoint-rule-set-1", "paginators-1"])
def test_a_service_equals_the_data_that_botocore_reads(service: str, kind: str) -> None:
    loader = aws_session.session()._session.get_component("data_loader")
    assert isinstance(loader, aws_session._OwnServices)
    assert loader.load_service_model(service, kind) == Loader().load_service_model(service, kind)
