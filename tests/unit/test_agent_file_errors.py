"""Errors in agent files: all are reported at once, with file, line and field."""

import textwrap
from collections.abc import Mapping
from pathlib import Path

import pytest

from runyard_service.agents.definitions.loader import read_agents
from runyard_service.agents.definitions.models import Snapshot
from runyard_service.agents.definitions.source import AgentDirectory
from runyard_service.domain.errors import DefinitionError

ROUTES = "played: { model: 'scripted:tale' }\nreal: { model: 'openai:m' }\n"
SCRIPT = "dialogues: [{ name: d, turns: [{ say: hi }] }]\n"
AGENT = """\
# A comment, so that the first field is on line 2.
key: clerk
version: "1"
instructions: Help.
route: played
input_schema: { type: object }
"""
SOUND = {"routes.yaml": ROUTES, "clerk.yaml": AGENT, "scripts/tale.yaml": SCRIPT}
TOOL = """\
tools:
  - kind: http
    name: look
    description: Looks.
    url: http://localhost
"""
CODE = """\
kind: code
function: runyard-agent-x
"""
ASK_HUMAN = """\
tools:
  - kind: ask_human
"""


def errors(files: Mapping[str, str]) -> list[str]:
    """Return the errors of the valid files after these replace some of them."""
    try:
        read_agents({**SOUND, **files})
    except DefinitionError as error:
        return str(error).splitlines()
    return []


def test_valid_files_have_no_errors() -> None:
    assert errors({}) == []


def test_the_sample_agents_have_no_errors() -> None:
    agents = read_agents(AgentDirectory(Path("agents")).read())
    assert list(agents.definitions) == ["assistant", "orders", "support_triage"]


@pytest.mark.parametrize(
    ("added", "error"),
    [
        ("color: red\n", "line 7: color: is not a known field"),
        ("limits:\n  steps: 5\n  tokens: 0\n", "line 9: limits.tokens: Input should be greater"),
        ("limits: 5\n", "line 7: limits: Input should be a valid dictionary"),
        (
            TOOL.replace("    url: http://localhost\n", ""),
            "line 8: tools.0.url: is required",
        ),
        (TOOL + "    methods: GET\n", "line 12: tools.0.methods: is not a known field"),
        (TOOL.replace("kind: http", "kind: htp"), "line 8: tools.0.kind: must be one of 'http',"),
        (TOOL.replace("kind: http\n    ", ""), "line 8: tools.0.kind: is required"),
        (TOOL + TOOL[7:], "line 13: tools.1.name: 'look' is another tool's name"),
        (
            TOOL.replace("localhost", "localhost/{b}"),
            "line 11: tools.0.url: {b} is not a parameter",
        ),
        (
            TOOL + "    headers: { x-team: '${TEAM}', x-id: 'id-{b}' }\n",
            "line 12: tools.0.headers.x-id: {b} is not a parameter",
        ),
        (
            TOOL + "    approval: { prompt: Sure?, editable: [amount] }\n",
            "line 12: tools.0.approval.editable: 'amount' is not a parameter",
        ),
        (
            TOOL + "    approval:\n      prompt: Sure?\n      when:\n        a: { abov: 1 }\n",
            "line 15: tools.0.approval.when.a.abov: is not a known field",
        ),
        (
            TOOL + "    approval:\n      prompt: Sure?\n      when: { a: [1] }\n",
            "line 14: tools.0.approval.when.a: Input should be a valid dictionary or instance of",
        ),
        (
            "output_schema:\n  type: object\n  properties:\n    a: { type: strin }\n",
            "line 10: output_schema.properties.a.type: is not a valid JSON Schema",
        ),
        ("output_schema:\n  type: array\n", "line 8: output_schema.type: must be of type object"),
        ("output_schema: {}\n", "line 7: output_schema: must be of type object"),
        (
            "fallback:\n  - real\n  - reel\n",
            "line 9: fallback.1: routes.yaml has no route 'reel'; did you mean 'real'?",
        ),
        ("fallback: [real, real]\n", "line 7: fallback.1: route 'real' is named twice"),
        ("fallback: [played]\n", "line 7: fallback.0: route 'played' is named twice"),
        ("empty_output: maybe\n", "line 7: empty_output: Input should be 'retry' or 'allow'"),
        (
            "output_schema: { type: object }\nempty_output: allow\n",
            "line 8: empty_output: cannot be allow with an output_schema",
        ),
        (
            "output_schema: { type: object, $ref: 'http://localhost/x' }\n",
            "line 7: output_schema: is not a valid JSON Schema: a reference must lead to a part",
        ),
        (
            TOOL + "    approval: sometimes\n",
            "line 12: tools.0.approval: must be never, always, or a mapping",
        ),
        (
            TOOL + "    approval:\n      on_expiry: deny\n",
            "line 13: tools.0.approval.on_expiry: 'deny' needs expires_in",
        ),
        (
            ASK_HUMAN + "    choices:\n      - a\n      - ' a'\n",
            "line 11: tools.0.choices.1: is duplicated",
        ),
        (
            ASK_HUMAN + "    choices: [a]\n    form: { type: object }\n",
            "line 10: tools.0.form: cannot be combined with choices",
        ),
        (
            ASK_HUMAN
            + "    form:\n      type: object\n      properties:\n        a: { type: strin }\n",
            "line 12: tools.0.form.properties.a.type: is not a valid JSON Schema",
        ),
        (
            ASK_HUMAN + "    form:\n      type: object\n      propertis: {}\n",
            "line 11: tools.0.form.propertis: is not a keyword of JSON Schema; did you mean",
        ),
        (ASK_HUMAN + "    form: {}\n", "line 9: tools.0.form: must be object"),
        (
            ASK_HUMAN + "    on_expiry: use_default\n    expires_in: 5\n",
            "line 9: tools.0.on_expiry: 'use_default' needs a default",
        ),
        (
            ASK_HUMAN + "    on_expiry: fail\n",
            "line 9: tools.0.on_expiry: 'fail' needs expires_in",
        ),
        (
            ASK_HUMAN + "    choices: [a, b]\n    default: c\n",
            "line 10: tools.0.default: must be one of: a, b",
        ),
        (
            ASK_HUMAN
            + "    form: { type: object, properties: { a: { type: integer } } }\n"
            + "    default:\n      a: x\n",
            "line 11: tools.0.default.a: must be of type integer",
        ),
        (ASK_HUMAN + "    default: { a: 1 }\n", "line 9: tools.0.default: must be a string"),
        ("kind: codes\n", "line 7: kind: Input should be 'dialogue' or 'code'"),
        ("kind: code\n", "line 2: function: is required"),
        ("function: runyard-agent-x\n", "line 7: function: only an agent of kind code has a fun"),
        (CODE.replace("agent-x", "agent-x:1"), "line 8: function: must be the name of a Lambda fu"),
        (CODE.replace("runyard-agent-x", "./x.py"), "line 8: function: must be the name of a La"),
        (CODE + "alias: a b\n", "line 9: alias: String should match pattern"),
        (CODE + "invocation_timeout: 601\n", "line 9: invocation_timeout: Input should be less"),
        (CODE + "limits:\n  operations: 0\n", "line 10: limits.operations: Input should be gre"),
        (CODE + "prompt: Hello\n", "line 9: prompt: an agent of kind code does not have it: the"),
        (CODE + "context:\n  keep_turns: 3\n", "line 9: context: an agent of kind code does not"),
        (CODE + "empty_output: allow\n", "line 9: empty_output: an agent of kind code does not"),
        (CODE + "tool_choice: required\n", "line 9: tool_choice: an agent of kind code does not"),
        (CODE + "output_mode: native\n", "line 9: output_mode: an agent of kind code does not ha"),
        (CODE + "other_routes: [real, reel]\n", "line 9: other_routes.1: routes.yaml has no route"),
        ("other_routes: [real]\n", "line 7: other_routes: only an agent of kind code has it; rem"),
        ("alias: blue\n", "line 7: alias: only an agent of kind code has it; remove it"),
        ("invocation_timeout: 9\n", "line 7: invocation_timeout: only an agent of kind code has"),
        ("limits:\n  steps: 1\n  steps: 2\n", "line 9: steps: is duplicated"),
        ("tools: [\n", "line 8: is not YAML"),
        ("description: \x01\n", "line 7: is not YAML: control characters are not allowed"),
        ("description: !!int one\n", ": is not YAML: invalid literal"),
        ("tools: &again [*again]\n", "line 7: is not YAML: an alias is inside its own anchor"),
    ],
)
def test_an_error_is_reported_on_its_line(added: str, error: str) -> None:
    (message,) = errors({"clerk.yaml": AGENT + added})
    assert message.startswith("clerk.yaml")
    assert error in message


@pytest.mark.parametrize("text", ["", "- a\n", "just words\n"])
def test_a_file_must_be_a_mapping(text: str) -> None:
    assert errors({"clerk.yaml": text}) == ["clerk.yaml, line 1: must be a mapping"]


def test_an_agent_of_kind_code_needs_no_instructions() -> None:
    code = AGENT.replace("instructions: Help.\n", "") + CODE
    assert errors({"clerk.yaml": code}) == []
    assert errors({"clerk.yaml": code.replace("runyard-agent-x", "./claims/app.py:handler")}) == []


def test_a_missing_field_is_reported_at_its_parent() -> None:
    assert errors({"clerk.yaml": AGENT.replace("route: played\n", "")}) == [
        "clerk.yaml, line 2: route: is required"
    ]


def test_errors_in_merged_fields_are_reported_on_their_own_line() -> None:
    script = """\
        dialogues:
          - name: a
            turns:
              - &slow { say: a, pace_ms: 5 }
              - <<: *slow
                say: b
              - { <<: *slow, wait: 1 }
        """
    assert errors({"scripts/tale.yaml": textwrap.dedent(script)}) == [
        "scripts/tale.yaml, line 7: dialogues.0.turns.2.wait: is not a known field; known:"
        " call, delay_ms, fail, output, pace_ms, repeat, say, think, usage, when"
    ]


def test_a_date_is_read_as_a_string() -> None:
    dated = AGENT.replace('"1"', "2026-02-30")
    agents = read_agents({**SOUND, "clerk.yaml": dated})
    assert list(agents.definitions["clerk"]) == ["2026-02-30"]


def test_the_file_name_does_not_matter() -> None:
    agents = read_agents({**SOUND, "other.yaml": AGENT.replace('"1"', '"2"')})
    assert list(agents.definitions) == ["clerk"]
    assert list(agents.definitions["clerk"]) == ["2", "1"]


def test_errors_of_all_files_are_reported_at_once_in_order_of_file_and_line() -> None:
    assert errors(
        {
            "clerk.yaml": AGENT.replace("played", "nowhere").replace('"1"', "1"),
            "agent.yaml": AGENT.replace("played", "nowhere"),
            "routes.yaml": ROUTES + "other:\n  model: scripted:none\n  modle: x\nreal: {}\n",
            "scripts/tale.yaml": "dialogues: []\n",
            "scripts/unused.yaml": SCRIPT + "more: 1\n",
        }
    ) == [
        "agent.yaml, line 5: route: routes.yaml has no route 'nowhere'; known: other, played, real",
        "clerk.yaml, line 3: version: must be a text; write a number, true or false in quotes",
        "routes.yaml, line 5: other.modle: is not a known field; did you mean 'model'?",
        "routes.yaml, line 6: real: is duplicated",
        "routes.yaml, line 6: real.model: is required",
        "scripts/tale.yaml, line 1: dialogues: Tuple should have at least 1 item after validation,"
        " not 0",
        "scripts/unused.yaml, line 2: more: is not a known field; known: dialogues",
    ]


@pytest.mark.parametrize(
    ("model", "text"),
    [
        ("opnai:gpt-5-mini", "such as 'openai:gpt-5-mini'; did you mean 'openai'?"),
        ("gpt-5-mini", "must be an API and a model, such as 'openai:gpt-5-mini'"),
        ("'openai:'", "must name a model after 'openai:'"),
    ],
)
def test_a_model_names_an_api(model: str, text: str) -> None:
    (error,) = errors({"routes.yaml": ROUTES + f"other:\n  model: {model}\n"})
    assert error.startswith("routes.yaml, line 4: other.model: must ")
    assert text in error


def test_files_are_checked_against_one_another() -> None:
    routes = ROUTES + "lost:\n  model: scripted:none\n"
    assert errors({"routes.yaml": routes, "twin.yaml": AGENT}) == [
        "routes.yaml, line 4: lost.model: there is no scripts/none.yaml",
        "twin.yaml, line 3: version: clerk@1 is also defined in clerk.yaml",
    ]


def test_agents_have_no_errors_because_of_invalid_routes() -> None:
    assert errors({"routes.yaml": "a: [\n"}) == [
        "routes.yaml, line 2: is not YAML: did not find expected node content"
    ]
    without = {name: text for name, text in SOUND.items() if name != "routes.yaml"}
    with pytest.raises(DefinitionError, match=r"^routes\.yaml: is missing$"):
        read_agents(without)


@pytest.mark.parametrize(("written", "meant"), [("off", "off"), ("'off'", "off"), ("low", "low")])
def test_the_reasoning_of_a_route_may_be_written_without_quotes(written: str, meant: str) -> None:
    routes = ROUTES + f"thinking: {{ model: 'openai:m', reasoning: {written} }}\n"
    agents = read_agents({**SOUND, "routes.yaml": routes})
    assert agents.routes["thinking"].reasoning == meant
    (error,) = errors({"routes.yaml": routes.replace(written, "on")})
    assert error.startswith("routes.yaml, line 3: thinking.reasoning: Input should be 'off'")


def test_a_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "routes.yaml").write_bytes(b"\xff")
    with pytest.raises(DefinitionError, match=r"routes\.yaml: cannot be read"):
        AgentDirectory(tmp_path).read()
    with pytest.raises(DefinitionError, match="is not a folder"):
        AgentDirectory(tmp_path / "nowhere").read()


MCP = "crm: { url: 'https://crm.example/mcp' }\n"
MCP_TOOL = """\
tools:
  - kind: mcp
    server: crm
    include: [search_*]
"""


@pytest.mark.parametrize(
    ("tool", "servers", "error"),
    [
        (MCP_TOOL, MCP, ""),
        (MCP_TOOL, "cmr: { url: u }\n", "line 9: tools.0.server: mcp.yaml has no server 'crm'"),
        (MCP_TOOL.replace("    include: [search_*]\n", ""), MCP, "line 8: tools.0.include: is req"),
        (
            MCP_TOOL + "    overrides: { serach_new: { effect: none } }\n",
            MCP,
            "line 11: tools.0.overrides.serach_new: no pattern of include selects 'serach_new'",
        ),
        (
            MCP_TOOL + "    exclude: [search_old]\n    overrides: { search_old: {} }\n",
            MCP,
            "line 12: tools.0.overrides.search_old: no pattern of include selects 'search_old'",
        ),
        (
            MCP_TOOL + '    overrides: { "search_*": { effect: none } }\n',
            MCP,
            "line 11: tools.0.overrides.search_*: must be the name of one tool",
        ),
        (MCP_TOOL + "    effect: hints\n", MCP, "line 8: tools.0: `hints` needs `trust_hints"),
        (
            MCP_TOOL + "    overrides: { search_new: { approval: hints } }\n",
            MCP,
            "line 8: tools.0: `hints` needs `trust_hints: true` of the server 'crm' in mcp.yaml",
        ),
        (MCP_TOOL + "    effect: hints\n", MCP.replace(" }", ", trust_hints: true }"), ""),
    ],
)
def test_errors_in_the_tools_of_mcp_servers(tool: str, servers: str, error: str) -> None:
    found = errors({"clerk.yaml": AGENT + tool, "mcp.yaml": servers})
    assert [each.startswith(f"clerk.yaml, {error}") for each in found] == [True] * bool(error), (
        found
    )


@pytest.mark.parametrize(
    ("servers", "error"),
    [
        ("crm: {}\n", "mcp.yaml, line 1: crm.url: is required"),
        ("crm: { url: u, timout: 3 }\n", "mcp.yaml, line 1: crm.timout: is not a known field"),
        ("c rm: { url: u }\n", "mcp.yaml, line 1: c rm: a server's name has 1 to 31 letters"),
    ],
)
def test_errors_in_mcp_servers(servers: str, error: str) -> None:
    assert [each.startswith(error) for each in errors({"mcp.yaml": servers})] == [True]


def test_a_run_stores_only_the_servers_of_its_agent() -> None:
    servers = f"{MCP}other: {{ url: 'https://other.example/mcp' }}\n"
    agents = read_agents({**SOUND, "clerk.yaml": AGENT + MCP_TOOL, "mcp.yaml": servers})
    definition = agents.find("clerk")
    assert definition is not None
    snapshot = agents.snapshot(definition)
    assert list(snapshot.to_stored()["mcp_servers"]) == ["crm"]
    assert Snapshot.from_stored(snapshot.to_stored()).mcp_servers == snapshot.mcp_servers
