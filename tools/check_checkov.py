"""checkov's rules for the template, both ways: none fails unexplained, and none is skipped in vain.

Run by `make checkov` with checkov's own Python. `tools/checkov.yaml` has the rules that are not
ours; one of them that the template keeps by now has to go from there.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

CONFIG = Path("tools/checkov.yaml")


def main() -> int:
    """1 where a rule fails, or is skipped and would not fail."""
    before, mark, listed = CONFIG.read_text(encoding="utf-8").partition("skip-check:\n")
    assert mark, f"{CONFIG} has its skip-check at the end"
    skipped = set(re.findall(r"^  - (\w+)", listed, re.MULTILINE))
    failed = _failed(before)
    for rule in sorted(failed.keys() - skipped):
        print(f"{rule} fails: {', '.join(failed[rule])}")
    for rule in sorted(skipped - failed.keys()):
        print(f"{rule} is skipped in {CONFIG}, and nothing fails it")
    if failed.keys() != skipped:
        return 1
    print(f"checkov: ok, {len(skipped)} rules skipped, each with its reason")
    return 0


def _failed(config: str) -> dict[str, list[str]]:
    """The resources that fail each rule, with nothing skipped."""
    checkov = Path(sys.executable).with_name("checkov")
    with TemporaryDirectory() as folder:
        whole = Path(folder, CONFIG.name)
        whole.write_text(config, encoding="utf-8")
        # By the interpreter: the script's first line does not work in a path with a space.
        command = [
            sys.executable,
            str(checkov),
            "--config-file",
            str(whole),
            "--output",
            "json",
            "--soft-fail",
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    failed: dict[str, list[str]] = {}
    for each in json.loads(done.stdout)["results"]["failed_checks"]:
        failed.setdefault(each["check_id"], []).append(each["resource"])
    return failed


if __name__ == "__main__":
    sys.exit(main())
