"""Store JSON fields of a record in the cheapest of three forms.

Each change of a run writes its record again. AWS bills each started KB of the record, twice in a
transaction. So a long text is compressed, and a very long text is stored outside the record:

    output       JSON text (DynamoDB's numbers cannot represent every JSON number)
    output_z     the JSON text, compressed by zlib
    output_key   the key of the JSON text in S3
"""

import json
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

from runyard_service.adapters.s3.payloads import MAX_INLINE_BYTES, Payloads
from runyard_service.domain.events import to_json

# Shorter texts stay readable in the AWS console, and compression would hardly shorten them.
COMPRESS_FROM_BYTES = 512
# Up to this size, zlib's level 6 takes at most 0.1 ms, a tenth of boto3's time for the write, and
# its result is 5 % smaller. Above it, level 1: 64 KB take 0.7 ms instead of 3 ms.
_LEVEL_6_UP_TO_BYTES = 16 * 1024


class JsonFields:
    """The JSON fields of runs' records; `payloads` stores values too large for a record."""

    def __init__(self, payloads: Payloads) -> None:
        self._payloads = payloads

    def encoded(
        self, run_id: str, values: Mapping[str, Any], *, max_inline_bytes: int = MAX_INLINE_BYTES
    ) -> dict[str, str | bytes]:
        """Return the attributes that store these values; None has no attribute.

        A JSON text longer than `max_inline_bytes` is stored in S3.
        """
        fields: dict[str, str | bytes] = {}
        for name, value in values.items():
            if value is None:
                continue
            text = to_json(value)
            if len(text) > max_inline_bytes:
                del text  # `save` encodes the value again. This copy would use memory meanwhile.
                fields[f"{name}_key"] = self._payloads.save(run_id, value)
            elif len(text) >= COMPRESS_FROM_BYTES:
                fields[f"{name}_z"] = compress(text)
            else:
                fields[name] = text.decode()
        return fields

    def decoded(self, item: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
        """Return the values of these names that the item contains."""
        values: dict[str, Any] = {}
        for name in names:
            if name in item:
                values[name] = json.loads(item[name])
            elif f"{name}_z" in item:
                values[name] = json.loads(zlib.decompress(bytes(item[f"{name}_z"])))
            elif f"{name}_key" in item:
                values[name] = self._payloads.fetch(item[f"{name}_key"])
        return values


def attributes_of(names: Iterable[str]) -> list[str]:
    """Return every attribute name that may store these fields."""
    return [f"{name}{form}" for name in names for form in ("", "_z", "_key")]


def compress(content: bytes) -> bytes:
    """Return the content compressed by zlib, at the level that suits its size.

    AWS bills each started KB of an item.
    """
    return zlib.compress(content, 6 if len(content) <= _LEVEL_6_UP_TO_BYTES else 1)
