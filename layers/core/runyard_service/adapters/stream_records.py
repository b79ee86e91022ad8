"""Convert item images of a table's stream. Lambda passes DynamoDB's attributes as JSON."""

import base64
from collections.abc import Mapping
from typing import Any

from runyard_service.adapters.dynamodb.attributes import Item, from_attributes


def item_of(image: Mapping[str, Any]) -> Item:
    """Return the item of an image. JSON has no bytes, so binary values are base64 text."""
    return from_attributes({name: _with_bytes(value) for name, value in image.items()})


def _with_bytes(attribute: Mapping[str, Any]) -> Mapping[str, Any]:
    if "B" in attribute:
        return {"B": base64.b64decode(attribute["B"])}
    return attribute


def image_of(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the image of an item's attributes, the reverse of `item_of`."""
    return {
        name: {"B": base64.b64encode(value["B"]).decode()} if "B" in value else value
        for name, value in attributes.items()
    }
