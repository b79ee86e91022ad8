"""The process that emulates Step Functions, S3, SQS and other services with moto.

moto's server runs in this process, which sends moto's Lambda tasks to our Lambda endpoint and
writes its S3 objects to disk. Executions and messages are in memory. After a restart the sweep
recovers the executions, and the delivery records restore the messages.
"""

import argparse
import os
from pathlib import Path

from runyard_dev.emulators import moto_patches, s3_on_disk
from runyard_dev.emulators.moto_server import serve
from runyard_dev.template.template import LocalTemplate, read_template


def watchers(template: LocalTemplate) -> dict[str, dict[str, tuple[str, ...]]]:
    """Return state machine ARN → status → names of the functions that a rule invokes for it."""
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for function in template.functions.values():
        for arn, statuses in function.watches.items():
            by_status = found.setdefault(arn, {})
            for status in statuses:
                by_status[status] = (*by_status.get(status, ()), function.name)
    return found


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--template", type=Path, required=True)
    parser.add_argument("--region", required=True)
    parser.add_argument("--lambda-endpoint", required=True)
    parser.add_argument("--s3-dir", type=Path, required=True)
    arguments = parser.parse_args()
    os.environ["MOTO_PORT"] = str(arguments.port)  # The target of tasks that do not call Lambda.
    template = read_template(arguments.template, region=arguments.region)
    moto_patches.install(arguments.lambda_endpoint, arguments.region, watchers(template))
    s3_on_disk.install(arguments.s3_dir)
    serve(arguments.port)


if __name__ == "__main__":
    main()
