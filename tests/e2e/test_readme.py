"""README's first session works as it is written."""

import re
import subprocess
from pathlib import Path

from tests.service import Service


def test_the_first_run_of_the_readme(service: Service, tmp_path: Path) -> None:
    readme = Path("README.md").read_text(encoding="utf-8")
    section = readme.partition("## A first run")[2].partition("\n## ")[0]
    blocks = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    assert len(blocks) == 4
    script = "\n".join(blocks).replace("make verify-log", "")
    script = script.replace("http://127.0.0.1:8080", service.base_url)
    script = script.replace("ry_dev_key", service.access_key)
    done = subprocess.run(
        ["bash", "-euc", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert '"status":"awaiting_input"' in done.stdout
    assert '{"message":"ok"}' in done.stdout
    # The cursor of the text starts where the answer is recorded.
    ids = re.findall(r"^id: (\d+)\nevent: (.*)$", done.stdout, re.MULTILINE)
    assert ids[0] == ("31", "approval_request.resolved")
    assert ids[-1][1] == "run.completed"
    assert '"effective_params":{"order_id":"4812","amount":45}' in done.stdout
    assert '"status":"completed"' in done.stdout.splitlines()[-1]
