"""Build the arguments of DynamoDB's writes: of a call, or of an entry of a transaction.

Names are passed as `#name` and values as `:name`, because DynamoDB reserves many words.
"""

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from runyard_service.adapters.dynamodb.attributes import Key, to_attributes

# What a stored item must contain, by attribute: a value that the attribute must have, a tuple that
# lists the allowed values, or None if the attribute must be absent.
Conditions = Mapping[str, Any]
NO_CONDITIONS: Conditions = MappingProxyType({})


def put_arguments(table: str, item: Mapping[str, Any], *, if_absent: bool) -> dict[str, Any]:
    """Return the arguments that write an item, with `if_absent` only if it does not exist."""
    call: dict[str, Any] = {"TableName": table, "Item": to_attributes(item)}
    if if_absent:
        # Every item of the table has the first key attribute.
        call["ConditionExpression"] = "attribute_not_exists(#key)"
        call["ExpressionAttributeNames"] = {"#key": next(iter(item))}
        call["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    return call


def check(table: str, key: Key, only_if: Conditions) -> dict[str, Any]:
    """Return the arguments that require an existing item that matches the conditions."""
    names = {"#pk": next(iter(key))}
    values: dict[str, Any] = {}
    # Without this condition, an update would create a missing item.
    tests = ["attribute_exists(#pk)"]
    for name, condition in only_if.items():
        names[f"#{name}"] = name
        if condition is None:
            tests.append(f"attribute_not_exists(#{name})")
            continue
        allowed = condition if isinstance(condition, tuple) else (condition,)
        parameters = [f":{name}_{number}" for number in range(len(allowed))]
        values.update(zip(parameters, allowed, strict=True))
        tests.append(f"#{name} IN ({', '.join(parameters)})")
    call: dict[str, Any] = {
        "TableName": table,
        "Key": to_attributes(key),
        "ConditionExpression": " AND ".join(tests),
        "ExpressionAttributeNames": names,
    }
    if values:
        call["ExpressionAttributeValues"] = to_attributes(values)
    return call


def delete(table: str, key: Key, only_if: Conditions) -> dict[str, Any]:
    """Return the arguments that delete an existing item that matches the conditions."""
    return check(table, key, only_if)


def count(table: str, key: Key, name: str, by: int) -> dict[str, Any]:
    """Return the arguments that add `by` to a number of an existing item."""
    call = check(table, key, {})
    call["UpdateExpression"] = f"ADD #{name} :by"
    call["ExpressionAttributeNames"] |= {f"#{name}": name}
    call["ExpressionAttributeValues"] = to_attributes({":by": by})
    return call


def absence(table: str, key: Key) -> dict[str, Any]:
    """Return the arguments that require that no item has this key."""
    return {
        "TableName": table,
        "Key": to_attributes(key),
        "ConditionExpression": "attribute_not_exists(#pk)",
        "ExpressionAttributeNames": {"#pk": next(iter(key))},
    }


def update(table: str, key: Key, fields: Mapping[str, Any], only_if: Conditions) -> dict[str, Any]:
    """Return the arguments that set attributes of an existing item; None removes an attribute."""
    call = check(table, key, only_if)
    sets = ", ".join(f"#{name} = :{name}" for name in fields if fields[name] is not None)
    removes = ", ".join(f"#{name}" for name in fields if fields[name] is None)
    call["UpdateExpression"] = " ".join(
        f"{clause} {names}" for clause, names in (("SET", sets), ("REMOVE", removes)) if names
    )
    call["ExpressionAttributeNames"] |= {f"#{name}": name for name in fields}
    values = to_attributes({f":{name}": value for name, value in fields.items()})
    if values:
        call["ExpressionAttributeValues"] = {**call.get("ExpressionAttributeValues", {}), **values}
    return call


def add(
    table: str,
    key: Key,
    amounts: Mapping[str, Decimal],
    initial: Mapping[str, Any],
    at_most: Mapping[str, Decimal],
) -> dict[str, Any]:
    """Return the arguments that add to numbers; a missing item starts with 0 and `initial` fields.

    The write requires that no stored number exceeds its limit in `at_most`.
    """
    values = {f":{name}": value for name, value in (*amounts.items(), *initial.items())}
    values |= {f":{name}_most": limit for name, limit in at_most.items()}
    sets = ", ".join(f"#{name} = if_not_exists(#{name}, :{name})" for name in initial)
    adds = ", ".join(f"#{name} :{name}" for name in amounts)
    call: dict[str, Any] = {
        "TableName": table,
        "Key": to_attributes(key),
        "UpdateExpression": f"SET {sets} ADD {adds}",
        "ExpressionAttributeNames": {f"#{name}": name for name in (*amounts, *initial)},
        "ExpressionAttributeValues": to_attributes(values),
    }
    if at_most:
        call["ConditionExpression"] = " AND ".join(
            f"(attribute_not_exists(#{name}) OR #{name} <= :{name}_most)" for name in at_most
        )
    return call
