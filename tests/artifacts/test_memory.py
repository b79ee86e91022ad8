"""The functions that wait have memory enough for the largest that they are given, and a margin."""

from collections.abc import Iterable, Iterator

import pytest

from benchmarks.built_functions import functions
from runyard_dev.dev_stack import DevStack
from tests.artifacts.heavy_requests import CASES as REQUESTS
from tests.artifacts.heavy_runs import Heavy
from tests.artifacts.memory import (
    ADAPTER_MB,
    LAMBDAS_OWN_MB,
    MARGIN,
    Peak,
    heavy_on,
    run_step_with,
    stream_peaks,
    worker_peaks,
)

# `make bench-memory` has all runs, and replays a log ten times as long, which takes no more.
HEAVIEST = (
    "ten results of 256 KB at once",
    "a result of 5 MB",
    "an input of 5 MB",
    "a PDF of 20 MB",
)
EVENTS = 10_000


@pytest.fixture(scope="module")
def heavy(emulators: DevStack) -> Iterator[Heavy]:
    """The agent whose runs are heavy."""
    with heavy_on(emulators) as found:
        yield found


def too_high(peaks: Iterable[Peak], other_mb: float, memory_mb: int) -> list[Peak]:
    """Those that leave too little of the function's memory, with what else Lambda counts."""
    return [peak for peak in peaks if peak.mb + other_mb > memory_mb * (1 - MARGIN)]


@pytest.mark.parametrize("providers", ["openai", "openai,anthropic"])
def test_a_worker_has_memory_to_spare_in_its_heaviest_runs(
    emulators: DevStack, heavy: Heavy, providers: str
) -> None:
    peaks = list(worker_peaks(emulators, heavy, providers, HEAVIEST))
    assert [peak.case for peak in peaks] == ["at rest", *HEAVIEST]
    assert too_high(peaks, LAMBDAS_OWN_MB, run_step_with(providers).memory_mb) == []


def test_a_worker_has_256_mb_by_default_and_320_with_anthropics_sdk() -> None:
    default = functions()["run_step"]
    assert default.environment["PRELOAD_PROVIDERS"] == "openai"
    assert default.memory_mb == 256
    assert run_step_with("bedrock,anthropic").memory_mb == 320
    assert run_step_with("").memory_mb == 256
    assert functions({"RunStepMemory": "512"})["run_step"].memory_mb == 512
    assert functions({"RunStepMemory": "0"})["run_step"].memory_mb == 256


def test_the_streaming_endpoint_has_memory_to_spare_in_its_heaviest_requests(
    emulators: DevStack, heavy: Heavy
) -> None:
    peaks = list(stream_peaks(emulators, heavy, EVENTS))
    assert [peak.case for peak in peaks] == ["at rest", *REQUESTS]
    other = LAMBDAS_OWN_MB + ADAPTER_MB
    assert too_high(peaks, other, functions()["stream"].memory_mb) == []


def test_a_function_that_leaves_too_little_is_found() -> None:
    enough, too_much = Peak("enough", 160.0), Peak("too much", 161.0)
    assert too_high([enough, too_much], 10, 200) == [too_much]
