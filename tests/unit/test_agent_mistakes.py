"""Mistakes of an author: the check finds each, and says what was meant."""

import pytest

from runyard_service.agents.definitions.loader import read_agents
from runyard_service.domain.errors import DefinitionError

ROUTES = "played: { model: 'scripted:trip' }\n"
AGENT = """\
key: trips
version: "1"
instructions: Help.
prompt: "{{ input.traveler }} wants to go to {{ input.city }}"
route: played
input_schema:
  type: object
  properties: { traveler: { type: string }, city: { type: string } }
  required: [traveler]
tools:
  - kind: http
    name: book
    description: Books.
    url: https://example.com
    parameters:
      type: object
      properties: { amount: { type: number }, person: { type: object } }
      additionalProperties: false
    approval:
      when: { amount: { above: 100 } }
      prompt: "Book {{ input.amount }} EUR for {{ input.person }}?"
      editable: [amount]
"""
SCRIPT = """\
dialogues:
  - name: trip
    when: { input.traveler: { exists: true } }
    turns:
      - say: "{{ input.city }}"
        call: [{ tool: book, input: { amount: 5 } }]
      - when: { results.book.failed: true }
        say: "{{ results.book.content.id }}"
"""
SOUND = {"routes.yaml": ROUTES, "trips.yaml": AGENT, "scripts/trip.yaml": SCRIPT}


def findings(file: str, old: str, new: str) -> list[str]:
    """Return the errors or the warnings of the sound files after one text is replaced.

    What a script names may be unknown on purpose, so it is a warning.
    """
    assert old in SOUND[file]
    try:
        agents = read_agents({**SOUND, file: SOUND[file].replace(old, new, 1)})
    except DefinitionError as error:
        assert not file.startswith("scripts/")
        return str(error).splitlines()
    return list(agents.warnings)


def test_files_without_a_mistake_have_no_findings() -> None:
    assert findings("trips.yaml", "Help.", "Help.") == []


@pytest.mark.parametrize(
    ("file", "old", "new", "error"),
    [
        (
            *("trips.yaml", "{{ input.amount }}", "{{ input.amuont }}"),
            "line 21: tools.0.approval.prompt: {{ input.amuont }} is not in parameters;"
            " did you mean 'amount'?",
        ),
        (
            *("trips.yaml", "{{ input.city }}", "{{ input.ctiy }}"),
            "line 4: prompt: {{ input.ctiy }} is not in input_schema; did you mean 'city'?",
        ),
        (
            *("trips.yaml", "{{ input.city }}", "{{ city }}"),
            "line 4: prompt: {{ city }} is unknown; a placeholder is `{{ input.name }}`",
        ),
        (
            *("trips.yaml", "{{ input.amount }}", "{{ input.amount }"),
            "line 21: tools.0.approval.prompt: contains `{{` that starts no placeholder",
        ),
        (
            *("scripts/trip.yaml", "tool: book", "tool: boook"),
            "line 6: dialogues.0.turns.0.call.0.tool: no agent of this script has the tool"
            " 'boook'; did you mean 'book'?",
        ),
        (
            *("scripts/trip.yaml", "{ amount: 5 }", "{ amuont: 5 }"),
            "line 6: dialogues.0.turns.0.call.0.input.amuont: 'amuont' is not a parameter of"
            " 'book'; did you mean 'amount'?",
        ),
        (
            *("scripts/trip.yaml", "results.book.failed", "results.bok.failed"),
            "line 7: dialogues.0.turns.1.when.results.bok.failed: no agent of this script has"
            " the tool 'bok'; did you mean 'book'?",
        ),
        (
            *("scripts/trip.yaml", "{{ input.city }}", "{{ input.ctiy }}"),
            "line 5: dialogues.0.turns.0.say: 'input.ctiy' is not in input_schema;"
            " did you mean 'city'?",
        ),
        (
            *("scripts/trip.yaml", "input.traveler", "inputs.traveler"),
            "line 3: dialogues.0.when.inputs.traveler: 'inputs.traveler' must begin with",
        ),
        (
            *("trips.yaml", "route: played", "route: plaed"),
            "line 5: route: routes.yaml has no route 'plaed'; did you mean 'played'?",
        ),
        (
            *("trips.yaml", "route: played", "route: played\ncontext: { summary_route: plaed }"),
            "line 6: context.summary_route: routes.yaml has no route 'plaed';"
            " did you mean 'played'?",
        ),
        (
            *("trips.yaml", "route: played", "route: played\ncontext: { summary_route: played }"),
            "line 6: context.summary_route: 'played' is a scripted route, and a script has no"
            " summaries",
        ),
        (
            *("trips.yaml", "route: played", "route: played\ncontext: { compact_att: 0.5 }"),
            "line 6: context.compact_att: is not a known field; did you mean 'compact_at'?",
        ),
        (
            *("trips.yaml", "    url:", "    methd: GET\n    url:"),
            "line 14: tools.0.methd: is not a known field; did you mean 'method'?",
        ),
        (
            *("trips.yaml", "above:", "abov:"),
            "line 20: tools.0.approval.when.amount.abov: is not a known field;"
            " did you mean 'above'?",
        ),
        (
            *("trips.yaml", "instructions", "instruction"),
            "line 3: instruction: is not a known field; did you mean 'instructions'?",
        ),
        (
            *("trips.yaml", "kind: http", "kind: htpp"),
            "line 11: tools.0.kind: must be one of 'http', 'python', 'lambda', 'ask_human', 'mcp';"
            " did you mean 'http'?",
        ),
        (
            *("trips.yaml", "city: { type: string }", "city: { type: sting }"),
            "line 8: input_schema.properties.city.type: is not a valid JSON Schema: must be one"
            " of array, boolean, integer, null, number, object, string, or a list of them;"
            " did you mean 'string'?",
        ),
        (
            *("trips.yaml", "required: [traveler]", "requierd: [traveler]"),
            "line 9: input_schema.requierd: is not a keyword of JSON Schema;"
            " did you mean 'required'?",
        ),
        (
            *("trips.yaml", "required: [traveler]", "required: traveler"),
            "line 9: input_schema.required: is not a valid JSON Schema: must be of type array",
        ),
        (
            *(
                "trips.yaml",
                "required: [traveler]",
                "required: [travler]\n  additionalProperties: false",
            ),
            "line 9: input_schema.required: 'travler' is not one of the properties;"
            " did you mean 'traveler'?",
        ),
        (
            *("trips.yaml", "[amount]", "[amont]"),
            "line 22: tools.0.approval.editable: 'amont' is not a parameter;"
            " did you mean 'amount'?",
        ),
        (
            *("trips.yaml", "amount: { above", "amuont: { above"),
            "'amuont' is not a parameter; did you mean 'amount'?",
        ),
    ],
)
def test_a_mistake_is_found(file: str, old: str, new: str, error: str) -> None:
    found = findings(file, old, new)
    assert [each for each in found if each.startswith(file) and error in each], found


def test_a_placeholder_may_name_a_field_of_an_open_schema_or_of_a_thread() -> None:
    open_schema = AGENT.replace("input.city", "input.any.field").replace(
        "  properties: { traveler: { type: string }, city: { type: string } }\n", ""
    )
    assert read_agents({**SOUND, "trips.yaml": open_schema}).warnings == ()
    assert findings("trips.yaml", "input.city", "input.content") == []


def test_a_script_may_name_the_tools_of_each_agent_that_plays_it() -> None:
    other = AGENT.replace("key: trips", "key: other").replace("name: book", "name: reserve")
    script = SCRIPT.replace("tool: book", "tool: reserve")
    files = {**SOUND, "other.yaml": other, "scripts/trip.yaml": script}
    assert read_agents(files).warnings == ()
