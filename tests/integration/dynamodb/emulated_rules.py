"""Requests that the emulator itself rejects as DynamoDB does."""

from tests.integration.dynamodb.broken_requests import (
    DATA_TYPES,
    EMPTY,
    INDEX,
    PARTITION_KEY,
    RECORDS,
    SORT_KEY,
    BrokenRule,
    batch,
    delete,
    key,
    nested,
    put_request,
    query,
    s,
    transaction,
    update,
)

NESTED = (
    "Nesting Levels have exceeded supported limits: "
    "Attributes in the item have nested levels beyond supported limit"
)
DUPLICATES = "Provided list of item keys contains duplicates"

_OF_INDEX = {"IndexName": INDEX}

EMULATED_RULES = [
    BrokenRule("an empty partition key", "put_item", put_request(pk=s("")), f"{EMPTY}pk"),
    BrokenRule(
        "an empty sort key", "get_item", {"TableName": RECORDS, "Key": key("")}, f"{EMPTY}sk"
    ),
    BrokenRule(
        "an empty index key",
        "put_item",
        put_request(project_id=s("")),
        "A value specified for a secondary index key is not supported.",
    ),
    BrokenRule(
        "an update to an empty index key",
        "update_item",
        update("SET project_id = :v", v=s("")),
        "cannot contain an empty string value",
    ),
    BrokenRule(
        "a partition key of 2,049 bytes", "put_item", put_request(pk=s("a" * 2049)), PARTITION_KEY
    ),
    BrokenRule(
        "a sort key of 1,025 bytes",
        "get_item",
        {"TableName": RECORDS, "Key": key("a" * 1025)},
        SORT_KEY,
    ),
    BrokenRule(
        "a reversed BETWEEN",
        "query",
        query("pk = :p AND sk BETWEEN :a AND :b", p=s("a"), a=s("z"), b=s("b")),
        "The BETWEEN operator requires upper bound to be greater than or equal to lower bound",
    ),
    BrokenRule(
        "an unused name",
        "update_item",
        update("SET x = :v", {"#a": "b"}, v=s("a")),
        "Value provided in ExpressionAttributeNames unused in expressions: keys: {#a}",
    ),
    BrokenRule(
        "an unused value",
        "update_item",
        update("SET x = :v", v=s("a"), w=s("a")),
        "Value provided in ExpressionAttributeValues unused in expressions: keys: {:w}",
    ),
    BrokenRule(
        "a reserved word",
        "update_item",
        update("SET status = :v", v=s("a")),
        "Attribute name is a reserved keyword; reserved keyword: status",
    ),
    BrokenRule(
        "two writes of one item in a transaction",
        "transact_write_items",
        transaction({"Put": put_request()}, delete("b")),
        "Transaction request cannot include multiple operations on one item",
    ),
    BrokenRule(
        "101 items in a transaction",
        "transact_write_items",
        transaction(*(delete(str(number)) for number in range(101))),
        "failed to satisfy constraint: Member must have length less than or equal to 100",
    ),
    BrokenRule(
        "more than 4 MB in a transaction",
        "transact_write_items",
        transaction(
            *({"Put": put_request(sk=s(str(number)), x=s("x" * 390_000))} for number in range(11))
        ),
        "aggregate size of the items in the transaction exceeding the 4MB limit",
    ),
    BrokenRule(
        "an item of more than 400 KB",
        "put_item",
        # "pk" + "a" + "sk" + "b" + "x" are 7 bytes.
        put_request(x=s("x" * (409_600 - 6))),
        "Item size has exceeded the maximum allowed size",
    ),
    BrokenRule(
        "an item that grows above 400 KB",
        "update_item",
        update("SET x = :v", v=s("x" * 409_600)),
        "Item size to update has exceeded the maximum allowed size",
    ),
    BrokenRule(
        "a number of 39 digits",
        "put_item",
        put_request(x={"N": "1" * 39}),
        "Attempting to store more than 38 significant digits in a Number",
    ),
    BrokenRule("a large number", "put_item", put_request(x={"N": "1e126"}), "Number overflow."),
    BrokenRule("a small number", "put_item", put_request(x={"N": "1e-131"}), "Number underflow."),
    BrokenRule(
        "an empty set", "put_item", put_request(x={"SS": []}), "An string set  may not be empty"
    ),
    BrokenRule(
        "a set with duplicates",
        "put_item",
        put_request(x={"NS": ["1", "1"]}),
        "contains duplicates",
    ),
    BrokenRule("nested levels", "put_item", put_request(x=nested(33)), NESTED),
    BrokenRule(
        "a key of another type",
        "put_item",
        put_request(pk={"N": "1"}),
        f"{DATA_TYPES}Type mismatch for key pk expected: S actual: N",
    ),
    BrokenRule(
        "an index key of another type",
        "put_item",
        put_request(project_id={"N": "1"}),
        f"{DATA_TYPES}Type mismatch for Index Key project_id Expected: S Actual: N IndexName: ",
    ),
    BrokenRule(
        "101 keys in a batch",
        "batch_get_item",
        {"RequestItems": {RECORDS: {"Keys": [key(str(number)) for number in range(101)]}}},
        "Member must have length less than or equal to 100",
    ),
    BrokenRule(
        "duplicate keys in a batch",
        "batch_get_item",
        {"RequestItems": {RECORDS: {"Keys": [key(), key()]}}},
        DUPLICATES,
    ),
    BrokenRule(
        "26 writes in a batch",
        "batch_write_item",
        batch(*({"DeleteRequest": {"Key": key(str(number))}} for number in range(26))),
        "Member must have length less than or equal to 25",
    ),
    BrokenRule(
        "two writes of one item in a batch",
        "batch_write_item",
        batch({"DeleteRequest": {"Key": key()}}, {"PutRequest": {"Item": key()}}),
        DUPLICATES,
    ),
    BrokenRule(
        "an empty expression", "update_item", update(""), "The expression can not be empty;"
    ),
    BrokenRule(
        "overlapping paths",
        "update_item",
        update("SET x = :v REMOVE x", v=s("a")),
        "Two document paths overlap with each other",
    ),
    BrokenRule(
        "an update of a key",
        "update_item",
        update("SET sk = :v", v=s("a")),
        f"{DATA_TYPES}Cannot update attribute sk. This attribute is part of the key",
    ),
    BrokenRule(
        "a consistent read of an index",
        "query",
        query("project_id = :p", options={**_OF_INDEX, "ConsistentRead": True}, p=s("a")),
        "Consistent reads are not supported on global secondary indexes",
    ),
    BrokenRule(
        "a filter on a key",
        "query",
        query("pk = :p", options={"FilterExpression": "sk = :p"}, p=s("a")),
        "Filter Expression can only contain non-primary key attributes: Primary key attribute: sk",
    ),
]
