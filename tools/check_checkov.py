"""Check template.yaml with checkov, and fail on each rule that is skipped without need.

`make checkov` runs this file with checkov's own Python. `tools/checkov.yaml` has the skipped rules.
checkov cannot read YAML merge keys, so it gets the template as JSON, with all anchors written out.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

CONFIG = Path("tools/checkov.yaml")


def main() -> int:
    """Return 1 if a rule fails, or if a skipped rule would not fail."""
    before, heading, listed = CONFIG.read_text(encoding="utf-8").partition("skip-check:\n")
    assert heading, f"{CONFIG} has its skip-check at the end"
    skipped = set(re.findall(r"^  - (\w+)", listed, re.MULTILINE))
    failed = _failed(before)
    for rule in sorted(failed.keys() - skipped):
        print(f"{rule} fails: {', '.join(failed[rule])}")
    for rule in sorted(skipped - failed.keys()):
        print(f"{rule} is skipped in {CONFIG}, but nothing fails it")
    if failed.keys() != skipped:
        return 1
    print(f"checkov: ok, {len(skipped)} rules skipped, each with its reason")
    return 0


def _failed(config: str) -> dict[str, list[str]]:
    """Return the resources that fail each rule, by rule, with no rule skipped."""
    checkov = Path(sys.executable).with_name("checkov")
    with TemporaryDirectory() as folder:
        template = Path(folder, "template.json")
        template.write_text(json.dumps(_expanded_template()), encoding="utf-8")
        whole = Path(folder, CONFIG.name)
        whole.write_text(config.replace("template.yaml", str(template)), encoding="utf-8")
        # Run by the interpreter: the first line of the script fails in a path with a space.
        command = [sys.executable, str(checkov), "--config-file", str(whole)]
        command += ["--output", "json", "--soft-fail"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    failed: dict[str, list[str]] = {}
    for each in json.loads(done.stdout)["results"]["failed_checks"]:
        failed.setdefault(each["check_id"], []).append(each["resource"])
    return failed


class _Loader(yaml.SafeLoader):
    """Load `!Name value` as `{"Fn::Name": value}`."""


def _construct_function(loader: _Loader, name: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
        if name == "GetAtt":
            value = str(value).split(".", 1)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        raise TypeError(f"!{name} has an unexpected value")
    return {name if name in ("Ref", "Condition") else f"Fn::{name}": value}


_Loader.add_multi_constructor("!", _construct_function)


def _expanded_template() -> Any:
    return yaml.load(Path("template.yaml").read_text(encoding="utf-8"), Loader=_Loader)


if __name__ == "__main__":
    sys.exit(main())
