"""Settings with invalid values: the error names the variable and what it must be."""

import pytest

from runyard_service.settings import InvalidSettingsError, Settings


@pytest.mark.parametrize("value", ["CRM_URL=x", '{"CRM_URL": 5}', "[]"])
def test_invalid_agent_variables_say_what_is_expected(value: str) -> None:
    with pytest.raises(InvalidSettingsError) as error:
        Settings.from_environment({"AGENT_VARIABLES": value})
    expected = 'a JSON object of texts, such as {"CRM_URL": "https://crm.example.com"}'
    assert str(error.value) == f"the environment variable AGENT_VARIABLES must be {expected}"


def test_each_invalid_variable_is_named() -> None:
    with pytest.raises(InvalidSettingsError) as error:
        Settings.from_environment({"ENDPOINT": "both", "POLL_MIN_MS": "fast"})
    assert str(error.value) == (
        "the environment variable ENDPOINT must be 'api' or 'stream'; the environment variable"
        " POLL_MIN_MS must be a valid integer, unable to parse string as an integer"
    )
