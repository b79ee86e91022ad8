"""A right that is taken away, and one that is given for nothing: both are found, by name."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.permissions.granted_actions import granted_actions, missing, unused
from tests.permissions.recorded_functions import Used

TEMPLATE = Path("template.yaml")


@dataclass(frozen=True)
class Seed:
    """A replacement behind a place in the template, and how it is told."""

    behind: str
    sound: str
    faulty: str
    told: str


SEEDS = {
    "a permission that nobody needs": Seed(
        "\n  RequestInputFunction:\n",
        "Action: [dynamodb:GetItem, dynamodb:PutItem, dynamodb:UpdateItem]",
        "Action: [dynamodb:GetItem, dynamodb:PutItem, dynamodb:UpdateItem, dynamodb:DeleteItem]",
        "RequestInputFunction never needs dynamodb:DeleteItem on",
    ),
    "a permission that is missing": Seed(
        "\n  SweepFunction:\n",
        "Action: states:SendTaskSuccess",
        "Action: states:SendTaskFailure",
        "SweepFunction calls states:SendTaskSuccess on",
    ),
    "an index that nobody may read": Seed(
        "\n  ApiFunction:\n",
        "                - !Sub ${RecordsTable.Arn}/index/runs-by-end\n",
        "",
        "ApiFunction calls dynamodb:Query on arn:aws:dynamodb:us-east-1:123456789012:"
        "table/runyard-records-table/index/runs-by-end",
    ),
    "a part of the bucket that nobody may write": Seed(
        "\n  RunStepFunction:\n",
        '"${Bucket.Arn}/runs/*", ',
        '"${Bucket.Arn}/run/*", ',
        "RunStepFunction calls s3:PutObject on arn:aws:s3:::runyard-bucket/runs/",
    ),
    "a deletion of everything but threads": Seed(
        "\n  ApiFunction:\n",
        '["RUN#*", "THREAD#*", "MARKERS#*"]',
        '["RUN#*", "MARKERS#*"]',
        "ApiFunction calls dynamodb:BatchWriteItem on",
    ),
    "a queue that Lambda may not read for the function": Seed(
        "\n  DeliverWebhookFunction:\n",
        "                - sqs:ReceiveMessage\n",
        "",
        "DeliverWebhookFunction calls sqs:ReceiveMessage on",
    ),
    "a listing of more than a run's payloads": Seed(
        "\n  SweepFunction:\n",
        "{ s3:prefix: runs/* }",
        '{ s3:prefix: ["runs/*", "files/*"] }',
        "SweepFunction never needs s3:ListBucket on arn:aws:s3:::runyard-bucket, of it files/*",
    ),
}


@pytest.mark.parametrize("seed", SEEDS.values(), ids=SEEDS.keys())
def test_a_fault_in_a_role_is_told(seed: Seed, used: Used, tmp_path: Path) -> None:
    before, behind, after = TEMPLATE.read_text(encoding="utf-8").partition(seed.behind)
    assert seed.sound in after
    copy = tmp_path / "template.yaml"
    copy.write_text(before + behind + after.replace(seed.sound, seed.faulty, 1), encoding="utf-8")

    grants = granted_actions(copy)
    told = [*missing(grants, used), *unused(grants, used)]

    assert any(line.startswith(seed.told) for line in told), "\n".join(told)
