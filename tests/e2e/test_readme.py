"""README's sessions work as they are written."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.support.service import Service

pytestmark = pytest.mark.usefixtures("samples")


def played(service: Service, folder: Path, *sections: str) -> str:
    """What the commands of these sections print, one after the other."""
    readme = Path("README.md").read_text(encoding="utf-8")
    texts = [readme.partition(f"## {name}\n")[2].partition("\n## ")[0] for name in sections]
    blocks = [block for text in texts for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)]
    assert blocks
    script = "\n".join(blocks).replace("make verify-log", "")
    script = script.replace("http://127.0.0.1:8080", service.base_url)
    script = script.replace("ry_dev_key", service.access_key)
    done = subprocess.run(
        ["bash", "-euc", script], cwd=folder, capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout


def test_the_first_run_of_the_readme(service: Service, tmp_path: Path) -> None:
    printed = played(service, tmp_path, "A first run")
    assert '"status":"awaiting_input"' in printed
    assert '{"message":"ok"}' in printed
    # The cursor of the text starts where the answer is recorded.
    ids = re.findall(r"^id: (\d+)\nevent: (.*)$", printed, re.MULTILINE)
    assert ids[0] == ("31", "approval_request.resolved")
    assert ids[-1][1] == "run.completed"
    assert '"effective_params":{"order_id":"4812","amount":45}' in printed
    assert '"status":"completed"' in printed.splitlines()[-1]


def test_the_conversation_of_the_readme(service: Service, tmp_path: Path) -> None:
    printed = played(service, tmp_path, "A first run", "A conversation")
    conversation = printed.partition('"title":"June invoice"')[2]
    assert '{"ok":true}' in conversation
    events = re.findall(r"^id: (\d+)\ndata: (.*)$", conversation, re.MULTILINE)
    assert (events[0][0], json.loads(events[0][1])["type"]) == ("16", "run.input_provided")
    assert json.loads(events[-1][1])["type"] == "run.completed"
    assert '"role":"assistant","content":"Done: refunded' in conversation
    assert '"persona_id":"assistant@1"' in conversation
