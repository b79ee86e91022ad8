"""`python -m runyard.keys create`: make an access key and print it, once.

Reads the records table's name from `--table` or `RECORDS_TABLE`, and AWS credentials as boto3 does.
"""

import argparse
import os
import secrets
import sys
from datetime import timedelta
from typing import get_args

import boto3

from runyard.domain.clock import now, stamp
from runyard.store.access_keys import ALL_SCOPES, AccessKeys, Scope
from runyard.store.dynamo import Table


def main() -> int:
    """Run one command; the exit code is 2 where its words are off."""
    parser = argparse.ArgumentParser(prog="runyard.keys", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    create = commands.add_parser("create", help="make a key and print it; it is not shown again")
    create.add_argument("--table", default=os.environ.get("RECORDS_TABLE"))
    create.add_argument("--project", required=True, help="what the key's runs belong to")
    create.add_argument("--org", default="default")
    create.add_argument("--agent", help="the agent that its runs start; default: DEFAULT_AGENT")
    create.add_argument("--scope", action="append", choices=get_args(Scope), help="default: all")
    create.add_argument("--days", type=int, help="how long it is valid; default: until revoked")
    arguments = parser.parse_args()
    if not arguments.table:
        parser.error("name the records table: --table, or RECORDS_TABLE in the environment")
    secret = f"ry_{secrets.token_urlsafe(32)}"
    keys = AccessKeys(Table(boto3.client("dynamodb"), arguments.table))
    keys.ensure(
        secret,
        project_id=arguments.project,
        org_id=arguments.org,
        scopes=frozenset(arguments.scope or ALL_SCOPES),
        agent=arguments.agent,
        valid_until=stamp(now() + timedelta(days=arguments.days)) if arguments.days else None,
    )
    print(secret)
    return 0


if __name__ == "__main__":
    sys.exit(main())
