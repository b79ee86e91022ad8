"""How much memory processes have held at most, and how long they worked, as Linux counts it."""

import os
from collections.abc import Iterator
from pathlib import Path

_MB = 1024


def processes_below(process: int) -> Iterator[int]:
    """The processes that it has started, and theirs."""
    for task in Path(f"/proc/{process}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            yield child
            yield from processes_below(child)


def peak_mb(process: int) -> float:
    """Return the peak memory of the process since its start or the last reset, in MB.

    Resident pages, including those of shared libraries.
    """
    return _status(process, "VmHWM")


def resident_mb(process: int) -> float:
    """What it holds now, in MB."""
    return _status(process, "VmRSS")


def forget_peak(process: int) -> None:
    """Reset the peak to what the process holds now."""
    Path(f"/proc/{process}/clear_refs").write_text("5")


def _status(process: int, name: str) -> float:
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / _MB
    raise ProcessLookupError(f"process {process} has ended")


def processor_seconds(process: int) -> float:
    """Return the processor seconds since the start of the process, in steps of 0.01 s."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
