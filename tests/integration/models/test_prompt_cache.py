"""Long runs against servers with a prompt cache: markers, prefixes, counts and costs."""

from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise

import pytest

from runyard_service.adapters.stores import Stores
from runyard_service.agents.definitions.models import Snapshot
from runyard_service.domain.events import Event
from tests.support.provider_runs import ToolServer, agent_at, run_to_end
from tests.support.servers.anthropic_server import AnthropicServer, Message
from tests.support.servers.bedrock_server import (
    BedrockServer,
    ConverseResponse,
    ConverseToolUse,
    ConverseUsage,
)
from tests.support.servers.loopback import Exchange, Received
from tests.support.servers.prompt_cache import (
    MAX_MARKERS,
    PromptCache,
    anthropic_blocks,
    bedrock_blocks,
)

pytestmark = pytest.mark.usefixtures("bedrock_credentials")

STEPS = 20
# The first request has about 5,000 tokens, and each step adds about 1,050: four bytes each.
INSTRUCTIONS = "It is {{ now }}. " + "Answer from the records. " * 780
RECORD = "A record of the yard. " * 182
PRICES = {
    "input_usd_per_million": Decimal(3),
    "cached_input_usd_per_million": Decimal("0.3"),
    "output_usd_per_million": Decimal(15),
}


class Records(ToolServer):
    """Answer each request with a long record."""

    def _respond(self, received: Received, exchange: Exchange) -> None:
        exchange.send(200, f"{received.path}: {RECORD}".encode(), {"content-type": "text/plain"})


@pytest.fixture
def records() -> Iterator[Records]:
    with Records() as server:
        yield server


def anthropic(cache: PromptCache) -> AnthropicServer:
    """Return a server that asks for a record in each response but the last."""

    def choose(received: Received) -> Message:
        counted = cache.count(anthropic_blocks(received.json))
        number = len(cache.bills)
        call = (f"toolu_{number}", "lookup", f'{{"id": "{number}"}}')
        return Message(
            text=["Done."] if number == STEPS else ["Next."],
            tool_uses=[] if number == STEPS else [call],
            input_tokens=counted.plain,
            cached_tokens=counted.read,
            written_tokens=counted.writes,
        )

    return AnthropicServer(choose=choose)


def bedrock(cache: PromptCache) -> BedrockServer:
    """Return a server that asks for a record in each response but the last."""

    def choose(received: Received) -> ConverseResponse:
        counted = cache.count(bedrock_blocks(received.json))
        number = len(cache.bills)
        use = ConverseToolUse("lookup", [f'{{"id": "{number}"}}'], f"tooluse_{number}")
        return ConverseResponse(
            text=["Done."] if number == STEPS else ["Next."],
            tool_uses=[] if number == STEPS else [use],
            usage=ConverseUsage(counted.plain, 5, counted.read, counted.writes),
        )

    return BedrockServer(choose=choose)


def run(
    stores: Stores, records: Records, provider: str, lifetime: str
) -> tuple[PromptCache, list[Event]]:
    """Run the agent for 20 steps, and return the provider's cache and the log."""
    cache = PromptCache()
    with anthropic(cache) if provider == "anthropic" else bedrock(cache) as server:
        agent = agent_at(server.url, provider, cache=lifetime, instructions=INSTRUCTIONS)
        events = run_to_end(stores, priced(agent), records)
    assert events[-1].data["output"] == {"content": "Done."}
    return cache, events


def priced(agent: Snapshot) -> Snapshot:
    return agent.model_copy(update={"route": agent.route.model_copy(update=PRICES)})


@pytest.mark.parametrize("provider", ["anthropic", "bedrock"])
@pytest.mark.parametrize(("lifetime", "target"), [("5m", "0.25"), ("1h", "0.30")])
def test_a_cache_makes_a_long_run_cheap(
    stores: Stores, records: Records, provider: str, lifetime: str, target: str
) -> None:
    cache, events = run(stores, records, provider, lifetime)
    totals = [bill.total for bill in cache.bills]
    assert (len(totals), round(totals[0], -3), round(totals[-1], -3)) == (STEPS, 5000, 25_000)
    for earlier, later in pairwise(cache.requests):
        contents = [block.content for block in earlier]
        assert [block.content for block in later][: len(contents)] == contents
    markers = [[block.marker for block in request if block.marker] for request in cache.requests]
    assert all(1 <= len(own) <= MAX_MARKERS and set(own) == {lifetime} for own in markers)

    cost = sum((bill.cost for bill in cache.bills), Decimal(0))
    assert cost <= Decimal(target) * sum(totals)
    billed = (cost * 3 + STEPS * 5 * 15) / 1_000_000
    usage = events[-1].data["usage"]
    assert Decimal(str(usage["cost_usd"])) == billed
    assert usage["input_tokens"] == sum(totals)
    assert usage["cached_input_tokens"] == sum(bill.read for bill in cache.bills)
    assert usage["cache_write_tokens"] == sum(sum(bill.writes) for bill in cache.bills)


@pytest.mark.parametrize("provider", ["anthropic", "bedrock"])
def test_without_a_cache_a_request_has_no_markers(
    stores: Stores, records: Records, provider: str
) -> None:
    cache, events = run(stores, records, provider, "off")
    assert not [block for request in cache.requests for block in request if block.marker]
    assert sum(bill.cost for bill in cache.bills) == events[-1].data["usage"]["input_tokens"]
