"""A prompt cache that counts and bills like those of Anthropic and Amazon Bedrock.

Anthropic's documentation, "Prompt caching": tools come before the system prompt, and both before
the messages. A request may have four markers. It reads the longest prefix in the cache that ends at
most 20 blocks before a marker, and writes the rest up to its last marker. Prefixes below 1,024
tokens are not cached. A read costs 0.1 of the price of input, a write 1.25 for five minutes and 2
for one hour. The lifetime itself is not simulated.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256
from typing import Any

MAX_MARKERS = 4
_LOOKBACK_BLOCKS = 20
_SHORTEST_PREFIX_TOKENS = 1024
# Of a token in English text: about four.
_CHARACTERS_PER_TOKEN = 4
_PRICES = {"read": Decimal("0.1"), "5m": Decimal("1.25"), "1h": Decimal(2)}


@dataclass(frozen=True)
class Block:
    """A block of a request without its marker. `marker` is a lifetime, empty without a marker."""

    content: str
    marker: str = ""


@dataclass(frozen=True)
class Counted:
    """The input tokens of one request: neither read nor written, read, and written."""

    plain: int
    read: int
    writes: tuple[int, int]

    @property
    def total(self) -> int:
        """Return all input tokens."""
        return self.plain + self.read + sum(self.writes)

    @property
    def cost(self) -> Decimal:
        """Return the cost, in tokens at the price of input."""
        short, long = self.writes
        cached = self.read * _PRICES["read"] + short * _PRICES["5m"] + long * _PRICES["1h"]
        return self.plain + cached


class PromptCache:
    """The cache of one account; `requests` has the blocks and `bills` the counts of requests."""

    def __init__(self) -> None:
        self.requests: list[list[Block]] = []
        self.bills: list[Counted] = []
        self._entries: set[str] = set()

    def count(self, blocks: Iterable[Block]) -> Counted:
        """Count a request, and write its marked prefixes. Raise ValueError for a fifth marker."""
        request = list(blocks)
        prefixes, digest, tokens = [], sha256(), 0
        for block in request:
            digest.update(block.content.encode() + b"\0")
            tokens += len(block.content) // _CHARACTERS_PER_TOKEN
            prefixes.append((digest.hexdigest(), tokens))
        marked = [position for position, block in enumerate(request) if block.marker]
        if len(marked) > MAX_MARKERS:
            raise ValueError(f"{len(marked)} markers; the maximum is {MAX_MARKERS}")
        read = max((self._found(prefixes, position) for position in marked), default=0)
        written = max(0, prefixes[marked[-1]][1] - read) if marked else 0
        for position in marked:
            if prefixes[position][1] >= _SHORTEST_PREFIX_TOKENS:
                self._entries.add(prefixes[position][0])
        is_long = bool(marked) and request[marked[-1]].marker == "1h"
        writes = (0, written) if is_long else (written, 0)
        counted = Counted(tokens - read - written, read, writes)
        self.requests.append(request)
        self.bills.append(counted)
        return counted

    def _found(self, prefixes: list[tuple[str, int]], marker: int) -> int:
        """Return the tokens of the longest prefix in the cache that this marker reaches."""
        first = max(0, marker - _LOOKBACK_BLOCKS)
        reached = prefixes[first : marker + 1]
        return max((tokens for digest, tokens in reached if digest in self._entries), default=0)


def anthropic_blocks(body: Mapping[str, Any]) -> Iterator[Block]:
    """Yield the blocks of a request to Anthropic."""
    for block in [*body.get("tools", ()), *body["system"]]:
        yield _anthropic_block("", block)
    for message in body["messages"]:
        for block in message["content"]:
            yield _anthropic_block(message["role"], block)


def _anthropic_block(role: str, block: Mapping[str, Any]) -> Block:
    rest = {name: value for name, value in block.items() if name != "cache_control"}
    marker = block.get("cache_control", {}).get("ttl", "5m") if "cache_control" in block else ""
    return Block(role + json.dumps(rest, sort_keys=True), marker)


def bedrock_blocks(body: Mapping[str, Any]) -> Iterator[Block]:
    """Yield the blocks of a request to Bedrock: a cache point is the marker of the block before."""
    tools = body.get("toolConfig", {}).get("tools", [])
    blocks = [("", block) for block in [*tools, *body["system"]]]
    for message in body["messages"]:
        blocks += [(message["role"], block) for block in message["content"]]
    for (role, block), (_, following) in zip(blocks, [*blocks[1:], ("", {})], strict=True):
        if "cachePoint" not in block:
            point = following.get("cachePoint")
            marker = point.get("ttl", "5m") if point else ""
            yield Block(role + json.dumps(block, sort_keys=True), marker)
