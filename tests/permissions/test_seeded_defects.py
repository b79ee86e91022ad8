"""Seeded defects: the comparison names a missing permission and an unused permission."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.permissions.granted_actions import (
    denied_actions,
    forbidden,
    granted_actions,
    missing,
    unused,
)
from tests.permissions.recorded_functions import Used

TEMPLATE = Path("template.yaml")


@dataclass(frozen=True)
class Defect:
    """A replacement after an anchor in the template, and the start of the reported line."""

    anchor: str
    valid: str
    faulty: str
    reported: str


DEFECTS = {
    "a permission that no call needs": Defect(
        "\n  RequestInputFunction:\n",
        "Action: [dynamodb:GetItem, dynamodb:PutItem, dynamodb:UpdateItem]",
        "Action: [dynamodb:GetItem, dynamodb:PutItem, dynamodb:UpdateItem, dynamodb:DeleteItem]",
        "RequestInputFunction never needs dynamodb:DeleteItem on",
    ),
    "a permission that is missing": Defect(
        "\n  SweepFunction:\n",
        "            - *resume_runs\n",
        "",
        "SweepFunction calls states:SendTaskSuccess on",
    ),
    "an index without a read permission": Defect(
        "\n  ApiFunction:\n",
        '                - !Join ["/index/", [*records_arn, runs-by-end]]\n',
        "",
        "ApiFunction calls dynamodb:Query on arn:aws:dynamodb:us-east-1:123456789012:"
        "table/runyard-records-table/index/runs-by-end",
    ),
    "a part of the bucket without a write permission": Defect(
        "\n  RunStepFunction:\n",
        '!Join ["/", [*bucket_arn, "runs/*"]], ',
        '!Join ["/", [*bucket_arn, "run/*"]], ',
        "RunStepFunction calls s3:PutObject on arn:aws:s3:::runyard-bucket/runs/",
    ),
    "a deletion of everything but threads": Defect(
        "\n  ApiFunction:\n",
        '["RUN#*", "THREAD#*", "MARKERS#*"]',
        '["RUN#*", "MARKERS#*"]',
        "ApiFunction calls dynamodb:BatchWriteItem on",
    ),
    "a queue that Lambda may not read for the function": Defect(
        "\n  DeliverWebhookFunction:\n",
        "Action: [sqs:ReceiveMessage, sqs:DeleteMessage, sqs:GetQueueAttributes]",
        "Action: [sqs:DeleteMessage, sqs:GetQueueAttributes]",
        "DeliverWebhookFunction calls sqs:ReceiveMessage on",
    ),
    "a denial of a key that the function updates": Defect(
        "\n  StreamFunction:\n",
        "              Action: dynamodb:PutItem\n",
        "              Action: [dynamodb:PutItem, dynamodb:UpdateItem]\n",
        "StreamFunction calls dynamodb:UpdateItem on",
    ),
    "a listing of more than a run's payloads": Defect(
        "\n  SweepFunction:\n",
        "            - *list_payloads\n",
        "            - Sid: ListPayloadsAndFiles\n"
        "              Effect: Allow\n"
        "              Action: s3:ListBucket\n"
        "              Resource: *bucket_arn\n"
        '              Condition: { StringLike: { s3:prefix: ["runs/*", "files/*"] } }\n',
        "SweepFunction never needs s3:ListBucket on arn:aws:s3:::runyard-bucket, of it files/*",
    ),
}


@pytest.mark.parametrize("defect", DEFECTS.values(), ids=DEFECTS.keys())
def test_a_defect_of_a_role_is_reported(defect: Defect, used: Used, tmp_path: Path) -> None:
    before, anchor, after = TEMPLATE.read_text(encoding="utf-8").partition(defect.anchor)
    assert defect.valid in after
    copy = tmp_path / "template.yaml"
    copy.write_text(
        before + anchor + after.replace(defect.valid, defect.faulty, 1), encoding="utf-8"
    )

    grants = granted_actions(copy)
    denials = denied_actions(copy)
    reported = [*missing(grants, used), *unused(grants, used), *forbidden(denials, used)]

    assert any(line.startswith(defect.reported) for line in reported), "\n".join(reported)
