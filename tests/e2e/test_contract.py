"""Generated requests: the service conforms to its OpenAPI document.

`make test-contract` sends many more examples of each operation.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.service import Service

CONFIG = Path(__file__).with_name("schemathesis.toml")
EXAMPLES = int(os.environ.get("CONTRACT_EXAMPLES") or 10)
# A generated request takes about 15 ms, and an example of an operation consists of a few requests.
SECONDS = 300 + EXAMPLES * 5


# In a scenario, some mutations of a form have the same bytes as a valid form. The service accepts
# them, which this check reports as an error. So the check applies only to single requests.
PHASES = {
    "single requests": ("--phases", "examples,coverage,fuzzing"),
    "scenarios": ("--phases", "stateful", "--exclude-checks", "negative_data_rejection"),
}


@pytest.mark.timeout(SECONDS + 30)
@pytest.mark.parametrize("phases", PHASES.values(), ids=PHASES.keys())
def test_generated_requests_find_no_errors(
    service: Service, tmp_path: Path, phases: tuple[str, ...]
) -> None:
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG)),
        *("run", f"{service.base_url}/openapi.json", "--checks", "all", *phases),
        *("--header", f"Authorization: Bearer {service.access_key}"),
        *("--max-examples", str(EXAMPLES), "--workers", "1", "--seed", "1", "--no-color"),
        *("--request-timeout", "30", "--generation-database", "none"),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
