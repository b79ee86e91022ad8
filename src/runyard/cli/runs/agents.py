"""What commands of runs need to know about agents."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from runyard.cli.session import Session


def input_schema(session: Session, agent: str | None) -> Mapping[str, Any]:
    """Return the input schema of the agent that a run would have; empty if it is not known."""
    from runyard.client.errors import NotFound

    try:
        name = agent or session.get("/v1/me").json.get("agent")
        found = session.get(f"/v1/agents/{quote(name, safe='@')}").json
    except NotFound:
        return {}  # The create says which agents exist.
    schema: Mapping[str, Any] = found.get("data", found).get("input_schema") or {}
    return schema
