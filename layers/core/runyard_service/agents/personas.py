"""Agents as personas: each version by itself, and each on any route."""

from dataclasses import dataclass

from runyard_service.agents.agent_set import AgentSet
from runyard_service.agents.definitions.models import ReasoningMode, Snapshot
from runyard_service.domain.errors import InvalidRequestError


@dataclass(frozen=True)
class Persona:
    """One version of an agent on its own route, and whether it is what its key alone means."""

    snapshot: Snapshot
    is_newest: bool


def personas(agents: AgentSet) -> list[Persona]:
    """Every version of every agent, by key, the newest version first."""
    return [
        Persona(agents.snapshot(definition), is_newest=place == 0)
        for versions in agents.definitions.values()
        for place, definition in enumerate(versions.values())
    ]


def chosen(
    agents: AgentSet,
    persona: str,
    *,
    route_id: str | None = None,
    model: str | None = None,
    reasoning: ReasoningMode | None = None,
) -> Snapshot:
    """The persona `key` or `key@version`, on its own route or on the one that is asked for.

    Raises InvalidRequestError naming each field that leads nowhere.
    """
    definition = agents.find(persona)
    faults = {} if definition else {"persona_id": f"there is no persona {persona!r}"}
    if route_id and route_id not in agents.routes:
        faults["route_id"] = f"there is no route {route_id!r}"
    elif model:
        fitting = [name for name, route in agents.routes.items() if route.leads_to(model)]
        if not fitting:
            faults["model"] = f"there is no route to {model!r}"
        elif route_id and route_id not in fitting:
            faults["model"] = f"the route {route_id!r} leads to {agents.routes[route_id].model!r}"
        route_id = route_id or next(iter(fitting), None)
    if definition is None or faults:
        raise InvalidRequestError(faults)
    snapshot = agents.snapshot(definition, route_id)
    if reasoning is None:
        return snapshot
    route = snapshot.route.model_copy(update={"reasoning": reasoning})
    return snapshot.model_copy(update={"route": route})
