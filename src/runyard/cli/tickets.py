"""`python -m runyard.cli.tickets rotate --stack NAME`: a new secret for the tickets of streams.

Tickets that are out stay good until they expire, and no door has to be started again. AWS
credentials are taken as boto3 finds them.
"""

import argparse
import sys

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from runyard_service.adapters.secrets import rotate
from runyard_service.domain.errors import ConflictError, RunyardError

TICKET_SECRET_ID = "TicketSecret"


def main(words: list[str] | None = None) -> int:
    """Run one command; the exit code is 1 where it failed, 2 where its words are off."""
    arguments = _parser().parse_args(words)
    try:
        secret = arguments.secret or _secret_of(arguments.stack)
        rotate(boto3.client("secretsmanager"), secret, at_once=arguments.at_once)
    except ConflictError as error:
        print(f"runyard.cli.tickets: the secret {error.details['secret']}", file=sys.stderr)
        return 1
    except (RunyardError, ClientError, BotoCoreError) as error:
        print(f"runyard.cli.tickets: {error}", file=sys.stderr)
        return 1
    print("rotated; all doors sign with the new secret within five minutes")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="runyard.cli.tickets", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("rotate", help="put a new secret in the place of the present one")
    place = command.add_mutually_exclusive_group(required=True)
    place.add_argument("--stack", help="the deployed stack whose doors sign with it")
    place.add_argument("--secret", help="the name or ARN of the secret itself")
    command.add_argument(
        "--at-once",
        action="store_true",
        help="also where tickets of the secret before the present one may be out: they are refused",
    )
    return parser


def _secret_of(stack: str) -> str:
    found = boto3.client("cloudformation").describe_stack_resource(
        StackName=stack, LogicalResourceId=TICKET_SECRET_ID
    )
    return str(found["StackResourceDetail"]["PhysicalResourceId"])


if __name__ == "__main__":
    sys.exit(main())
