"""Checks of agent files that need the settings of the installation, or known prices."""

from collections.abc import Mapping

import pytest

from runyard_service.application.maintenance.check_agents import (
    CheckedAgents,
    check_agents,
    check_deployable,
)
from runyard_service.domain.errors import DefinitionError
from runyard_service.settings import Settings

AGENT = 'version: "1"\nroute: real\ninstructions: Help.\ninput_schema: { type: object }\n'
TOOL = """\
tools:
  - kind: http
    name: pay
    description: Pays.
    url: ${LEDGR_URL}/payments
    headers: { Authorization: "Bearer ${LEDGER_KEY}", X-Source: "${LEDGR_URL}" }
"""
FILES = {"routes.yaml": "real: { model: 'openai:gpt-5-mini' }\n", "a.yaml": f"key: clerk\n{AGENT}"}


def check(
    environment: Mapping[str, str] | None = None, files: Mapping[str, str] | None = None
) -> CheckedAgents:
    """Check the files after these replace some of them."""
    return check_agents({**FILES, **(files or {})}, Settings.from_environment(environment or {}))


def test_the_only_agent_is_the_default_without_a_setting() -> None:
    assert check().default_agents == {"DEFAULT_AGENT": "clerk", "DEFAULT_PERSONA": "clerk"}


def test_a_setting_must_name_an_agent() -> None:
    with pytest.raises(DefinitionError) as error:
        check({"DEFAULT_AGENT": "clrk", "DEFAULT_PERSONA": "clerk@2"})
    assert str(error.value).splitlines() == [
        "DEFAULT_AGENT names the unknown agent 'clrk'; did you mean 'clerk'?",
        "DEFAULT_PERSONA names the unknown agent 'clerk@2'; did you mean 'clerk'?",
    ]


def test_an_unset_variable_of_a_tool_is_a_warning() -> None:
    checked = check(
        {"AGENT_VARIABLES": '{"LEDGER_URL": "http://localhost", "LEDGER_KEY": "k"}'},
        {"a.yaml": FILES["a.yaml"] + TOOL},
    )
    assert checked.warnings == (
        "${LEDGR_URL} is not in AGENT_VARIABLES; did you mean 'LEDGER_URL'? (clerk@1 pay)",
    )


def test_an_unset_variable_of_a_route_is_a_warning() -> None:
    routes = """\
        real:
          model: openai:gpt-5-mini
          extra_headers: { x-team: "${TEEM}" }
          extra_body: { metadata: { user: "${TEAM}" } }
    """
    checked = check({"AGENT_VARIABLES": '{"TEAM": "a"}'}, {"routes.yaml": routes})
    assert checked.warnings == (
        "${TEEM} is not in AGENT_VARIABLES; did you mean 'TEAM'? (routes.yaml real)",
    )


def test_a_secret_without_the_prefix_is_an_error() -> None:
    routes = "real: { model: 'openai:gpt-5-mini', api_key_secret: team/openai }\n"
    with pytest.raises(
        DefinitionError,
        match=r"routes\.yaml, line 1: real\.api_key_secret: must begin with 'runyard/'",
    ):
        check(files={"routes.yaml": routes})
    check({"MODEL_SECRET_PREFIX": "team/"}, {"routes.yaml": routes})


@pytest.mark.parametrize(
    ("auth", "field"),
    [
        ("{ secret: team/crm }", "auth.secret"),
        ("{ client_id: a, client_secret: team/crm }", "auth.client_secret"),
    ],
)
def test_secrets_of_mcp_servers_have_the_prefix_too(auth: str, field: str) -> None:
    servers = f"crm: {{ url: 'https://crm.example/mcp', auth: {auth} }}\n"
    with pytest.raises(
        DefinitionError, match=rf"mcp\.yaml, line 1: crm\.{field}: must begin with 'runyard/'"
    ):
        check(files={"mcp.yaml": servers})
    check({"MODEL_SECRET_PREFIX": "team/"}, {"mcp.yaml": servers})


def test_an_unset_variable_of_an_mcp_server_is_a_warning() -> None:
    servers = "crm: { url: '${CRM_URL}/mcp', headers: { x-team: '${TEAM}' } }\n"
    assert check(files={"mcp.yaml": servers}).warnings == (
        "${CRM_URL} is not in AGENT_VARIABLES (mcp.yaml crm)",
        "${TEAM} is not in AGENT_VARIABLES (mcp.yaml crm)",
    )


@pytest.mark.parametrize("limit", ["usd", "usd_per_day"])
@pytest.mark.parametrize(
    ("route", "has_price"),
    [
        ("{ model: 'openai:gpt-5-mini' }", True),
        ("{ model: 'openai:gpt-5-mini', base_url: 'http://localhost/v1' }", False),
        ("{ model: 'openai-chat:gpt-5-mini' }", True),
        ("{ model: 'google:gemini-2.5-flash' }", True),
        ("{ model: 'mistral:mistral-large-latest' }", True),
        ("{ model: 'google:gemini-2.5-flash', base_url: 'http://localhost/v1beta' }", False),
        ("{ model: 'openai:our-own' }", False),
        (
            "{ model: 'openai:our-own', input_usd_per_million: 0, output_usd_per_million: 1 }",
            True,
        ),
    ],
)
def test_a_limit_in_usd_requires_a_price(limit: str, route: str, *, has_price: bool) -> None:
    files = {
        "routes.yaml": f"real: {route}\n",
        "a.yaml": FILES["a.yaml"] + f"limits: {{ {limit}: 1 }}\n",
    }
    if has_price:
        check(files=files)
    else:
        with pytest.raises(DefinitionError, match=rf"a\.yaml, line \d+: limits\.{limit}: requires"):
            check(files=files)


def test_a_fallback_route_needs_a_price_too() -> None:
    files = {
        "routes.yaml": FILES["routes.yaml"] + "spare: { model: 'openai:our-own' }\n",
        "a.yaml": FILES["a.yaml"] + "fallback: [spare]\nlimits: { usd: 1 }\n",
    }
    with pytest.raises(DefinitionError, match=r"requires a price: .* of the route 'spare'"):
        check(files=files)


def test_a_scripted_route_needs_its_own_price() -> None:
    script = {"scripts/s.yaml": "dialogues: [{ name: d, turns: [{ say: hi }] }]\n"}
    files = {"a.yaml": FILES["a.yaml"] + "limits: { usd: 1 }\n", **script}
    with pytest.raises(DefinitionError, match=r"limits\.usd: requires a price"):
        check(files={"routes.yaml": "real: { model: 'scripted:s' }\n", **files})


def code_agent(function: str) -> dict[str, str]:
    return {"a.yaml": f"{FILES['a.yaml']}kind: code\nfunction: {function}\n"}


def test_a_function_without_the_prefix_is_an_error() -> None:
    with pytest.raises(DefinitionError, match=r"line 7: function: must begin with 'runyard-agent"):
        check(files=code_agent("team-claims"))
    check({"AGENT_FUNCTION_PREFIX": "team-"}, code_agent("team-claims"))
    check(files=code_agent("runyard-agent-claims"))


def test_a_function_in_a_file_is_for_the_local_stack_only() -> None:
    checked = check(files=code_agent("./claims/app.py:handler"))
    with pytest.raises(DefinitionError, match=r"'\./claims/app\.py:handler' is a file, which only"):
        check_deployable(checked.agents)
    check_deployable(check(files=code_agent("runyard-agent-claims")).agents)
