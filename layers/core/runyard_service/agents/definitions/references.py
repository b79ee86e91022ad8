"""Check the names that one part of the agent files uses and another part defines.

These are routes, placeholders of prompts, servers of MCP tools, and the tools and fields of
scripts.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from runyard_service.agents.definitions.condition_types import schema_at
from runyard_service.agents.definitions.conditions import PLACEHOLDER
from runyard_service.agents.definitions.errors import Step
from runyard_service.agents.definitions.known_fields import suggestion
from runyard_service.agents.definitions.mcp_servers import McpServer
from runyard_service.agents.definitions.model_settings.support import guardrail_problem
from runyard_service.agents.definitions.models import OUTPUT_TOOL, AgentDefinition
from runyard_service.agents.definitions.routes import Route
from runyard_service.agents.definitions.script import Script, ScriptedCall
from runyard_service.agents.definitions.tools import PLACEHOLDER as HTTP_PLACEHOLDER
from runyard_service.agents.definitions.tools import HttpTool, McpTool
from runyard_service.agents.variables import texts_in

_OPENED = re.compile(r"\{\{")
# The input of a thread's run has these fields, whatever the schema says.
_THREAD_FIELDS = frozenset({"content", "count", "messages"})
_SCRIPT_ROOTS = ("input", "files", "results")

ReferenceIssue = tuple[Sequence[Step], str]


def prompt_issues(definition: AgentDefinition) -> Iterator[ReferenceIssue]:
    """Yield the path and the text of each placeholder that its prompts and tools cannot fill."""
    schema = definition.input_schema
    if definition.prompt:
        for text in _placeholder_issues(definition.prompt, schema, "input_schema"):
            yield ("prompt",), text
    for index, tool in enumerate(definition.tools):
        if isinstance(tool, McpTool):
            continue  # Its parameters are known when a run lists the tools.
        if isinstance(tool, HttpTool):
            for path, text in _http_issues(tool):
                yield ("tools", index, *path), text
        approval = getattr(tool, "approval", None)
        if approval and approval.prompt:
            for text in _placeholder_issues(approval.prompt, tool.parameters, "parameters"):
                yield ("tools", index, "approval", "prompt"), text


def route_issues(
    definition: AgentDefinition, names: Mapping[Any, Any], routes: Mapping[str, Route]
) -> Iterator[ReferenceIssue]:
    """Yield the path and the text of each route that the agent cannot use.

    `names` has all the fields of `routes.yaml`, `routes` only the valid ones.
    """
    others = _other_routes(definition)
    for path, name in {("route",): definition.route, **others}.items():
        if name not in names:
            yield path, f"routes.yaml has no route {name!r}{suggestion(name, map(str, names))}"
        elif path[0] == "context" and _is_scripted(names[name]):
            yield path, f"{name!r} is a scripted route, and a script has no summaries"
    for path, name in others.items():
        if name in routes and (problem := guardrail_problem(definition, routes[name])):
            yield path, problem


def _other_routes(definition: AgentDefinition) -> dict[tuple[Step, ...], str]:
    """Return the names of the routes that the agent uses besides its own, by their path."""
    names: dict[tuple[Step, ...], str] = {
        (field, index): name
        for field in ("fallback", "other_routes")
        for index, name in enumerate(getattr(definition, field))
    }
    if definition.context and definition.context.summary_route:
        names["context", "summary_route"] = definition.context.summary_route
    return names


def _is_scripted(route: Any) -> bool:
    return isinstance(route, Mapping) and str(route.get("model")).startswith("scripted:")


def _http_issues(tool: HttpTool) -> Iterator[ReferenceIssue]:
    texts: dict[tuple[str, ...], str] = {("url",): tool.url}
    texts |= {("headers", name): text for name, text in tool.headers.items()}
    for path, text in texts.items():
        for match in HTTP_PLACEHOLDER.finditer(text):
            name, known = match["argument"], tool.parameters.get("properties", {})
            if name and not _can_have_argument(tool.parameters, name):
                yield path, f"{{{name}}} is not a parameter{suggestion(name, known)}"


def _can_have_argument(parameters: Mapping[str, Any], name: str) -> bool:
    """Return whether the parameters allow the name. Without it, each call would fail."""
    if "properties" not in parameters or "patternProperties" in parameters:
        return True
    is_open = parameters.get("additionalProperties") is True
    return is_open or schema_at(parameters, name) is not None


def mcp_issues(
    definition: AgentDefinition, servers: Mapping[str, McpServer | None]
) -> Iterator[ReferenceIssue]:
    """Yield each server that `mcp.yaml` does not define, and hints without `trust_hints`.

    A server is None if its definition is invalid: only its name is checked.
    """
    for index, tool in enumerate(definition.tools):
        if not isinstance(tool, McpTool):
            continue
        server = servers.get(tool.server)
        if tool.server not in servers:
            text = f"mcp.yaml has no server {tool.server!r}{suggestion(tool.server, servers)}"
            yield ("tools", index, "server"), text
        elif server and tool.uses_hints and not server.trust_hints:
            text = f"`hints` needs `trust_hints: true` of the server {tool.server!r} in mcp.yaml"
            yield ("tools", index), text


def script_issues(script: Script, users: Sequence[AgentDefinition]) -> Iterator[ReferenceIssue]:
    """Yield the path and the text of each unknown name in a script. `users` are its agents.

    A name is unknown if no agent that plays the script defines it.
    """
    tools = {OUTPUT_TOOL, *(tool.name for user in users for tool in user.callable_tools)}
    for d, dialogue in enumerate(script.dialogues):
        for path in dialogue.when:
            yield from _at(("dialogues", d, "when", path), _path_issue(path, users, tools))
        for t, turn in enumerate(dialogue.turns):
            steps = ("dialogues", d, "turns", t)
            for path in turn.when:
                yield from _at((*steps, "when", path), _path_issue(path, users, tools))
            for c, call in enumerate(turn.call):
                for field, text in _call_issues(call, users, tools):
                    yield (*steps, "call", c, *field), text
            for name in ("think", "say", "output"):
                for path in _paths_in(getattr(turn, name)):
                    yield from _at((*steps, name), _path_issue(path, users, tools))


def _call_issues(
    call: ScriptedCall, users: Sequence[AgentDefinition], tools: set[str]
) -> Iterator[ReferenceIssue]:
    if call.tool not in tools and not _is_mcp_name(call.tool, users):
        text = f"no agent of this script has the tool {call.tool!r}"
        yield ("tool",), text + suggestion(call.tool, tools)
    for name, text in _argument_issues(call, users):
        yield ("input", name), text
    for path in _paths_in(call.input):
        yield from _at(("input",), _path_issue(path, users, tools))


def _argument_issues(
    call: ScriptedCall, users: Sequence[AgentDefinition]
) -> Iterator[tuple[str, str]]:
    """Yield each argument that no agent's tool of this name accepts."""
    tools = [tool for user in users for tool in user.callable_tools if tool.name == call.tool]
    schemas = [tool.parameters for tool in tools]
    if not schemas or any(s.get("additionalProperties") is not False for s in schemas):
        return
    known = {name for schema in schemas for name in schema.get("properties", {})}
    for name in call.input:
        if name not in known:
            text = f"{name!r} is not a parameter of {call.tool!r}{suggestion(name, known)}"
            yield name, text


def _is_mcp_name(name: str, users: Sequence[AgentDefinition]) -> bool:
    """Return whether the tool may be one of an MCP server. A run lists the servers' own names."""
    prefixes = tuple(entry.name_prefix for user in users for entry in user.mcp_tools)
    return name.startswith(prefixes)


def _at(steps: Sequence[Step], text: str | None) -> Iterator[ReferenceIssue]:
    if text:
        yield steps, text


def _placeholder_issues(prompt: str, schema: Mapping[str, Any], where: str) -> Iterator[str]:
    if len(_OPENED.findall(prompt)) > len(PLACEHOLDER.findall(prompt)):
        yield "contains `{{` that starts no placeholder; a placeholder is `{{ input.name }}`"
    for path in PLACEHOLDER.findall(prompt):
        if path == "now" and where == "input_schema":
            continue
        root, _, field = path.partition(".")
        if root != "input" or not field:
            yield f"{{{{ {path} }}}} is unknown; a placeholder is `{{{{ input.name }}}}`"
        elif not _has_field(schema, field, where):
            known = schema.get("properties", {})
            yield f"{{{{ {path} }}}} is not in {where}{suggestion(field, known)}"


def _has_field(schema: Mapping[str, Any], field: str, where: str) -> bool:
    """Return whether the value can have the field. A schema without `properties` allows all."""
    is_input = where == "input_schema"
    if is_input and (field.split(".")[0] in _THREAD_FIELDS or _is_open(schema)):
        return True
    return schema_at(schema, field) is not None


def _is_open(schema: Mapping[str, Any]) -> bool:
    return "properties" not in schema and schema.get("additionalProperties") is not False


def _path_issue(path: str, users: Sequence[AgentDefinition], tools: set[str]) -> str | None:
    """Return what is wrong with a path of a script, or None."""
    root, _, rest = path.partition(".")
    if root not in _SCRIPT_ROOTS:
        return f"{path!r} must begin with input, files or results"
    if root == "results":
        tool = rest.partition(".")[0]
        if tool not in tools and not _is_mcp_name(tool, users):
            return f"no agent of this script has the tool {tool!r}{suggestion(tool, tools)}"
    if root == "input" and rest:
        schemas = [user.input_schema for user in users]
        if not any(_has_field(schema, rest, "input_schema") for schema in schemas):
            known = {name for schema in schemas for name in schema.get("properties", {})}
            return f"{path!r} is not in input_schema{suggestion(rest, known)}"
    return None


def _paths_in(value: Any) -> Iterator[str]:
    for text in texts_in(value):
        yield from PLACEHOLDER.findall(text)
