"""Where a client finds its URL, its key and its project."""

from pathlib import Path

import pytest

from runyard.client.configuration import Configuration, ConfigurationError, load_configuration

PROFILES = """
default_profile = "prod"
[profiles.prod]
url = "https://prod.example.com"
project = "support"
[profiles.staging]
url = "https://staging.example.com/v1/"
"""


class Machine:
    """A home folder and a current folder."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "config" / "runyard"
        self.config.mkdir(parents=True)
        self.current = folder / "project"
        self.current.mkdir()

    def load(
        self, arguments: dict[str, str | None] | None = None, **environment: str
    ) -> Configuration:
        """Load the configuration; `environment` is without its prefix."""
        variables = {f"RUNYARD_{name.upper()}": value for name, value in environment.items()}
        variables["XDG_CONFIG_HOME"] = str(self.config.parent)
        return load_configuration(**(arguments or {}), environment=variables, folder=self.current)

    def write(self, profiles: str, credentials: str = "", mode: int = 0o600) -> None:
        """Write both files."""
        (self.config / "config.toml").write_text(profiles)
        file = self.config / "credentials.toml"
        file.write_text(credentials)
        file.chmod(mode)

    def start_local(self, url: str = "http://127.0.0.1:8080") -> None:
        """Leave what a local stack leaves in the current folder."""
        local = self.current / ".runyard"
        local.mkdir()
        (local / "url").write_text(url + "\n")
        (local / "access-key").write_text("ry_dev_local\n")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def values(found: Configuration) -> tuple[str, str, str | None]:
    return found.url, found.access_key.reveal(), found.project


CREDENTIALS = '[prod]\naccess_key = "ry_prod"\n[staging]\naccess_key = "ry_staging"\n'


def test_the_order(machine: Machine) -> None:
    machine.start_local()
    assert values(machine.load()) == ("http://127.0.0.1:8080", "ry_dev_local", None)

    machine.write(PROFILES, CREDENTIALS)
    assert values(machine.load()) == ("https://prod.example.com", "ry_prod", "support")
    found = machine.load(profile="staging")
    assert values(found) == ("https://staging.example.com", "ry_staging", None)
    assert found.profile == "staging"
    assert values(machine.load(profile="local"))[1] == "ry_dev_local"

    found = machine.load(url="https://env.example.com", access_key="ry_env", project="env")
    assert values(found) == ("https://env.example.com", "ry_env", "env")
    assert found.sources == dict.fromkeys(("url", "access_key", "project"), "RUNYARD_URL") | {
        "access_key": "RUNYARD_ACCESS_KEY",
        "project": "RUNYARD_PROJECT",
    }

    arguments: dict[str, str | None] = {
        "url": "https://argument.example.com/",
        "access_key": "ry_a",
    }
    found = machine.load(arguments, url="https://env.example.com", access_key="ry_env")
    assert values(found) == ("https://argument.example.com", "ry_a", None)


def test_a_profile_that_an_argument_names_wins_over_the_environment(machine: Machine) -> None:
    machine.write(PROFILES, CREDENTIALS)
    found = machine.load({"profile": "staging"}, url="https://env.example.com", access_key="ry_env")
    assert values(found)[:2] == ("https://staging.example.com", "ry_staging")


def test_a_stored_key_goes_only_to_its_url(machine: Machine) -> None:
    machine.start_local()
    machine.write(PROFILES, CREDENTIALS)
    for profile in ("prod", "local"):
        with pytest.raises(ConfigurationError, match=r"no access key for https://other\.example"):
            machine.load(url="https://other.example.com", profile=profile)
    same = machine.load(url="https://prod.example.com/v1")
    assert values(same)[1] == "ry_prod"


def test_a_key_command(machine: Machine) -> None:
    profile = '[profiles.prod]\nurl = "https://prod.example.com"\nkey_command = "{}"\n'
    machine.write(profile.format("printf ry_printed"))
    found = machine.load()
    assert (values(found)[1], found.sources["access_key"]) == ("ry_printed", "key_command")
    for broken in ("false", "no-such-command", "true", "printf '"):
        machine.write(profile.format(broken))
        with pytest.raises(ConfigurationError, match="key_command of profile prod"):
            machine.load()


def test_errors_say_the_way_out(machine: Machine) -> None:
    with pytest.raises(ConfigurationError, match=r"there is no URL\. Set RUNYARD_URL, or name"):
        machine.load()
    machine.write(PROFILES, CREDENTIALS, mode=0o644)
    with pytest.raises(ConfigurationError, match="run chmod 600"):
        machine.load()
    machine.write(PROFILES, CREDENTIALS)
    with pytest.raises(ConfigurationError, match=r"no profile 'test' in .*: local, prod, staging"):
        machine.load(profile="test")
    for broken in ('[profiles.x]\nuri = "a"', "[profiles.x]\nurl = 1", "profiles = 1", "[profiles"):
        machine.write(broken)
        with pytest.raises(ConfigurationError, match=r"config\.toml"):
            machine.load()


@pytest.mark.parametrize("url", ["api.example.com", "ftp://x", "https://user@x", "https://x?a=b"])
def test_a_wrong_url(machine: Machine, url: str) -> None:
    with pytest.raises(ConfigurationError, match="must be a URL such as"):
        machine.load(url=url, access_key="ry_x")


def test_a_wrong_key_is_not_in_the_error(machine: Machine) -> None:
    with pytest.raises(ConfigurationError, match="printable ASCII") as raised:
        machine.load(url="https://x", access_key="ry_ü secret")
    assert "secret" not in str(raised.value)


def test_a_local_stack_is_on_this_machine(machine: Machine) -> None:
    machine.start_local("https://evil.example.com")
    with pytest.raises(ConfigurationError, match="must have an address of this machine"):
        machine.load()
