"""Open the stores of a data folder, for other commands. The stack does not need to run."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from runyard_dev.clients import client
from runyard_dev.data_dir import read_state
from runyard_dev.dev_stack import DevStack
from runyard_dev.errors import DataDirInUseError
from runyard_service.adapters.s3.bucket import Bucket
from runyard_service.adapters.stores import Stores
from runyard_service.settings import Settings


@contextmanager
def open_store(data_dir: Path) -> Iterator[Stores]:
    """Yield the stores in `data_dir`. If its stack is stopped, start it without event sources."""
    try:
        with DevStack.start(data_dir=data_dir, web=False, seed=False, sweep_seconds=None) as own:
            yield stores_of(own.environment)
    except DataDirInUseError:
        yield stores_of(read_state(data_dir))


def stores_of(environment: Mapping[str, str]) -> Stores:
    """Return the stores that the environment of a stack names."""
    settings = Settings.from_environment(environment)
    return Stores.create(
        client("dynamodb", environment),
        Bucket(settings.bucket, lambda: client("s3", environment)),
        events_table=settings.events_table,
        records_table=settings.records_table,
    )
