"""Requests that the emulator accepts and that the rules of the tests reject."""

from tests.integration.dynamodb.broken_requests import (
    DATA_TYPES,
    EMPTY,
    INDEX,
    PARTITION_KEY,
    RECORDS,
    SORT_KEY,
    BrokenRule,
    condition,
    delete,
    key,
    put_request,
    query,
    s,
    transaction,
    update,
)

INDEX_KEY = "The update expression attempted to update the secondary index key beyond allowed "
_LONG_SET = "SET " + ", ".join(f"a{number} = :v" for number in range(500))
_MANY = {f"v{number}": s(str(number)) for number in range(101)}
_IN_MANY = f"x IN ({', '.join(f':{name}' for name in _MANY)})"
_OF_INDEX = {"IndexName": INDEX}

ADDED_RULES = [
    BrokenRule(
        "an expression of more than 4 KB",
        "update_item",
        update(_LONG_SET, v=s("x")),
        "Expression size has exceeded the maximum allowed size",
        "expression size",
    ),
    BrokenRule(
        "more than 300 operators",
        "put_item",
        condition(" OR ".join(["x=:v"] * 151), v=s("x")),
        "The expression contains too many operators",
        "operators in an expression",
    ),
    BrokenRule(
        "more than 100 operands of IN",
        "put_item",
        condition(_IN_MANY, **_MANY),
        "The IN operator is provided with too many operands; number of operands: 101",
        "operands of IN",
    ),
    BrokenRule(
        "an attribute name of 64 KB",
        "put_item",
        put_request(**{"x" * 65_536: s("a")}),
        "Attribute name is too large, must be less than 65535 bytes",
        "attribute name size",
    ),
    BrokenRule(
        "a key condition of another type",
        "query",
        query("pk = :p AND sk = :s", p=s("a"), s={"N": "1"}),
        f"{DATA_TYPES}Condition parameter type does not match schema type",
        "key condition type",
    ),
    *(
        BrokenRule(
            f"an empty value in {text}",
            "query",
            query(text, **values),
            f"{EMPTY}{name}",
            "empty key condition",
        )
        for text, values, name in (
            ("pk = :p", {"p": s("")}, "pk"),
            ("pk = :p AND sk BETWEEN :a AND :b", {"p": s("a"), "a": s(""), "b": s("z")}, "sk"),
            ("pk = :p AND begins_with(sk, :a)", {"p": s("a"), "a": s("")}, "sk"),
            ("pk = :p AND sk > :a", {"p": s("a"), "a": s("")}, "sk"),
        )
    ),
    BrokenRule(
        "a long partition key in a query",
        "query",
        query("pk = :p", p=s("a" * 2049)),
        PARTITION_KEY,
        "key condition size",
    ),
    BrokenRule(
        "a long sort key in a query",
        "query",
        query("pk = :p AND sk > :s", p=s("a"), s=s("é" * 513)),
        SORT_KEY,
        "key condition size",
    ),
    BrokenRule(
        "a starting key of another partition",
        "query",
        query("pk = :p", options={"ExclusiveStartKey": key(pk="c")}, p=s("a")),
        "The provided starting key is outside query boundaries based on provided conditions",
        "starting key of another partition",
    ),
    BrokenRule(
        "an attribute that the index does not have",
        "query",
        query("project_id = :p", options={**_OF_INDEX, "ProjectionExpression": "x"}, p=s("a")),
        f"{DATA_TYPES}Global secondary index {INDEX} does not project [x]",
        "projection of an index",
    ),
    BrokenRule(
        "a long partition key of an index",
        "put_item",
        put_request(project_id=s("a" * 2049)),
        PARTITION_KEY,
        "index key size",
    ),
    BrokenRule(
        "a long sort key of an index",
        "batch_write_item",
        {
            "RequestItems": {
                RECORDS: [{"PutRequest": {"Item": put_request(started_key=s("a" * 1025))["Item"]}}]
            }
        },
        SORT_KEY,
        "index key size",
    ),
    BrokenRule(
        "an update to a long sort key of an index",
        "update_item",
        update("SET #k = :v", {"#k": "started_key"}, v=s("a" * 1025)),
        f"{INDEX_KEY}size limits",
        "updated index key size",
    ),
    BrokenRule(
        "an update to a long sort key of an index, in a transaction",
        "transact_write_items",
        transaction(
            delete("c"), {"Update": update("SET #k = :v", {"#k": "started_key"}, v=s("a" * 1025))}
        ),
        "specific reasons [None, ValidationError]",
        "updated index key size",
        "TransactionCanceledException",
        ["None", "ValidationError"],
    ),
]
