"""Check template.yaml and the state machines with four gates, in the environment of aws-sam-cli.

Each gate finds errors that the others miss. `sam validate` finds circular dependencies. `--lint`
replaces that check and reads the template as written. Neither reads the state machines. So a third
gate translates the template, with the definitions inline, and lints it as CloudFormation. A fourth
gate checks the definitions as Amazon States Language. No gate needs AWS or a network.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cfnlint.api
from samcli.commands.validate.lib.exceptions import InvalidSamDocumentException
from samcli.lib.translate.sam_template_validator import SamTemplateValidator
from samcli.yamlhelper import yaml_parse

REGION = "us-east-1"


class NoManagedPolicies:
    """Replace SAM's lookup of managed policies in IAM; the template uses none."""

    def load(self) -> dict[str, str]:
        return {}


def main() -> int:
    arguments = _parse_arguments()
    gates: dict[str, Callable[[Path], str]] = {
        "sam": lambda template: _run("samcli", "validate", "--template-file", str(template)),
        "sam-lint": lambda template: _run(
            "samcli", "validate", "--lint", "--template-file", str(template)
        ),
        "cloudformation": _check_cloudformation,
        "states": _check_states,
    }
    if arguments.translated:
        print(translate(arguments.template))
        return 0
    failed = False
    for name in arguments.gates or gates:
        complaint = gates[name](arguments.template)
        print(f"template gate {name}: {'FAILED' if complaint else 'ok'}", flush=True)
        if complaint:
            print(complaint, flush=True)
            failed = True
    return int(failed)


def translate(template: Path) -> str:
    """Return the translated template as JSON, with the definitions of all state machines inline."""
    document = yaml_parse(template.read_text())
    for resource in document["Resources"].values():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::Serverless::StateMachine" and "DefinitionUri" in properties:
            definition = template.parent / properties.pop("DefinitionUri")
            properties["Definition"] = json.loads(definition.read_text())
    validator = SamTemplateValidator(document, NoManagedPolicies(), region=REGION)
    translated = yaml_parse(validator.get_translated_template_if_valid())
    return json.dumps(translated, indent=2)


def _check_cloudformation(template: Path) -> str:
    try:
        translated = translate(template)
    except InvalidSamDocumentException as error:
        return str(error)
    matches = cfnlint.api.lint(translated, regions=[REGION])
    return "\n".join(
        f"{match.rule.id} {match.message} (line {match.linenumber})" for match in matches
    )


def _check_states(template: Path) -> str:
    complaints = [
        _run("statelint", str(definition))
        for folder in ("statemachines", "vendor/runyard/statemachines")  # Here, or in a project.
        for definition in sorted((template.parent / folder).glob("*.asl.json"))
    ]
    return "\n".join(filter(None, complaints)) if complaints else "no state machine found"


def _run(module: str, *arguments: str) -> str:
    """Return the output of a command that failed, or an empty text."""
    environment: dict[str, Any] = {
        **os.environ,
        "AWS_DEFAULT_REGION": REGION,
        "SAM_CLI_TELEMETRY": "0",
    }
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return "" if done.returncode == 0 else done.stdout.strip() or f"exit code {done.returncode}"


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("gates", nargs="*", help="sam, sam-lint, cloudformation, states; all four")
    parser.add_argument("--template", type=Path, default=Path("template.yaml"))
    parser.add_argument("--translated", action="store_true", help="print the translation instead")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
