"""`/v1/agents`: the agents that the access key may use.

A view has what a caller needs to start a run and to follow it. It has no instructions, no secrets,
and no addresses, headers or functions of tools and models.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from runyard_service.adapters.dynamodb.access_keys import AccessKey
from runyard_service.agents.definitions.human_tools import ApprovalRule, AskHuman
from runyard_service.agents.definitions.models import Limits, Snapshot
from runyard_service.agents.definitions.routes import Route
from runyard_service.agents.definitions.tools import LocalTool, McpOverride, McpTool
from runyard_service.api.auth import authenticate
from runyard_service.api.dependencies import ServicesDep
from runyard_service.api.http import JsonResponse, unknown_names
from runyard_service.api.response_size import RowSizes
from runyard_service.api.runs.paging import Page, page_of
from runyard_service.api.runs.views import without_nulls
from runyard_service.api.services import Services
from runyard_service.domain.costs import to_number
from runyard_service.domain.request_errors import InvalidRequestError, NotFoundError

router = APIRouter()


async def _reader(request: Request, services: ServicesDep) -> AccessKey:
    """Return a key with the scope `runs:read`. Agents belong to no project."""
    return await authenticate(request, services, "runs:read", needs_project=False)


Reader = Annotated[AccessKey, Depends(_reader)]


@router.get("/agents")
async def list_agents(request: Request, services: ServicesDep, key: Reader) -> Response:
    """Return a page of the agents that the key may use, by name, in their newest versions."""
    query = request.query_params
    issues = unknown_names(query, {"page", "page_size"})
    page = page_of(query, ("name",), "name", known_issues=issues)
    return JsonResponse(await run_in_threadpool(_read_page, services, key, page))


def _read_page(services: Services, key: AccessKey, page: Page) -> dict[str, Any]:
    agents = list(_agents(services, key).values())
    first, last = page.bounds(len(agents))
    data = RowSizes(services).checked(
        _view(services, key, versions[0], versions)
        for versions in agents[first - 1 : max(last, first - 1)]
    )
    return {"data": data, "pagination": page.pagination(len(agents))}


@router.get("/agents/{name}")
async def get_agent(request: Request, services: ServicesDep, key: Reader) -> Response:
    """Return the agent `name`, in its newest version, or `name@version`."""
    if issues := unknown_names(request.query_params, ()):
        raise InvalidRequestError(issues)
    name: str = request.path_params["name"]
    return JsonResponse({"data": await run_in_threadpool(_read_agent, services, key, name)})


def _read_agent(services: Services, key: AccessKey, name: str) -> dict[str, Any]:
    versions = _agents(services, key).get(name.partition("@")[0], [])
    names = (name, f"{name}@{versions[0].definition.version}") if versions else ()
    found = next((snapshot for snapshot in versions if snapshot.name in names), None)
    if found is None or not key.may_use(name):
        raise NotFoundError
    return _view(services, key, found, versions)


def _agents(services: Services, key: AccessKey) -> dict[str, list[Snapshot]]:
    """Return the versions that the key may use, by the name of the agent, the newest first."""
    agents: dict[str, list[Snapshot]] = {}
    for persona in services.catalog.personas():
        if key.may_use(persona.snapshot.name):
            agents.setdefault(persona.snapshot.definition.key, []).append(persona.snapshot)
    return agents


def _view(
    services: Services, key: AccessKey, snapshot: Snapshot, versions: Sequence[Snapshot]
) -> dict[str, Any]:
    definition = snapshot.definition
    default = key.agent or services.settings.default_agent
    view: dict[str, Any] = {
        "name": definition.key,
        "version": definition.version,
        "versions": [each.definition.version for each in versions],
        "is_default": default == snapshot.name
        or (default == definition.key and snapshot is versions[0]),
        "description": definition.description,
        "kind": definition.kind,
        **_route_view(snapshot.route_id, snapshot.route),
        "fallback": [_route_view(each.route_id, each.route) for each in snapshot.fallback],
        "input_schema": definition.input_schema,
        "output_schema": definition.output_schema,
        "tools": [_tool_view(tool) for tool in definition.tools],
        "limits": _limits_view(definition.limits),
    }
    return without_nulls(view)


def _route_view(route_id: str, route: Route) -> dict[str, str]:
    return {"route": route_id, "provider": route.provider, "model": route.model_name}


def _tool_view(tool: LocalTool | AskHuman | McpTool) -> dict[str, Any]:
    """Return the tool. An entry of an MCP server selects tools that only a run can list."""
    if isinstance(tool, McpTool):
        overrides = {name: _override_view(each) for name, each in tool.overrides.items()}
        return {
            "kind": tool.kind,
            "server": tool.server,
            "include": list(tool.include),
            "exclude": list(tool.exclude),
            **_override_view(tool),
            "overrides": overrides,
        }
    view: dict[str, Any] = {
        "kind": tool.kind,
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
    }
    if isinstance(tool, AskHuman):
        return view | {"effect": "none"}
    return view | without_nulls({"effect": tool.effect, "approval": _approval_view(tool.approval)})


def _override_view(tool: McpTool | McpOverride) -> dict[str, Any]:
    approval = tool.approval if tool.approval == "hints" else _approval_view(tool.approval)
    return without_nulls({"effect": tool.effect, "approval": approval})


def _approval_view(rule: ApprovalRule | None) -> dict[str, Any] | None:
    """Return when calls wait for a person: without `when`, all of them. None: no call waits."""
    if rule is None:
        return None
    condition = rule.model_dump(mode="json", include={"when"}, exclude_unset=True).get("when")
    return without_nulls(
        {
            "when": condition,
            "editable": list(rule.editable),
            "expires_in": rule.expires_in,
            "on_expiry": rule.on_expiry,
        }
    )


def _limits_view(limits: Limits) -> dict[str, Any]:
    return {
        name: to_number(value) if isinstance(value, Decimal) else value
        for name, value in limits
        if value is not None
    }
