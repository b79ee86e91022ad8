"""Profiles: `login` stores them, `whoami` says where each value is from."""

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from runyard.cli.main import runyard
from tests.integration.cli.test_output import validator_of
from tests.support.service import Service


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Use an empty configuration and an empty current folder; return the configuration's."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    for name in [name for name in os.environ if name.startswith("RUNYARD_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config/runyard"


def call(*words: str, stdin: str = "", env: Mapping[str, str] | None = None) -> Result:
    """Run the command without a terminal."""
    return CliRunner().invoke(runyard, words, input=stdin, env=env)


def test_login_stores_the_key_where_only_the_user_can_read_it(service: Service, home: Path) -> None:
    done = call("login", "--url", service.base_url, stdin=f"{service.access_key}\n")
    assert done.exit_code == 0, done.output
    credentials = home / "credentials.toml"
    assert stat.S_IMODE(credentials.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert service.access_key not in (home / "config.toml").read_text() + done.output
    who = call("whoami", "--json")
    validator_of("/v1/me", "get", "200").validate(json.loads(who.stdout))
    printed = dict(line.split("\t") for line in call("whoami").stdout.splitlines())
    assert printed["url"] == f"{service.base_url}  (from {home / 'config.toml'})"
    assert printed["access key"] == f"from {credentials}"
    assert printed["profile"] == "default"
    assert printed["org_id"] == "dev"
    assert service.access_key not in str(printed)


def test_a_rejected_key_is_not_stored(service: Service, home: Path) -> None:
    assert call("login", "--url", service.base_url, stdin="ry_wrong\n").exit_code == 7
    assert not home.exists()


def test_a_key_command_replaces_the_stored_key(service: Service, home: Path) -> None:
    command = f"echo {service.access_key}"
    done = call("login", "--url", service.base_url, "--key-command", command)
    assert done.exit_code == 0, done.output
    assert not (home / "credentials.toml").exists()
    assert "from key_command" in call("whoami").stdout


def test_the_order_of_the_sources(service: Service, home: Path) -> None:
    call("login", "--url", service.base_url, stdin=f"{service.access_key}\n")
    variables = {"RUNYARD_URL": service.base_url, "RUNYARD_ACCESS_KEY": service.access_key}
    printed = call("whoami", env=variables).stdout
    assert f"{service.base_url}  (from RUNYARD_URL)" in printed
    assert "from RUNYARD_ACCESS_KEY" in printed
    printed = call("whoami", "--url", service.base_url, env=variables).stdout
    assert f"{service.base_url}  (from an option)" in printed


def test_whoami_shows_the_sources_of_a_rejected_key(service: Service, home: Path) -> None:
    variables = {"RUNYARD_URL": service.base_url, "RUNYARD_ACCESS_KEY": "ry_wrong"}
    done = call("whoami", env=variables)
    assert done.exit_code == 7
    assert "from RUNYARD_ACCESS_KEY" in done.stdout


def test_a_local_stack_in_the_folder_needs_no_login(service: Service, home: Path) -> None:
    folder = Path(".runyard")
    folder.mkdir()
    (folder / "url").write_text(service.base_url)
    (folder / "access-key").write_text(service.access_key)
    assert call("runs", "list").exit_code == 0
    assert "profile\tlocal" in call("whoami").stdout.splitlines()


def test_without_a_configuration_the_message_says_what_to_do(home: Path) -> None:
    done = call("runs", "list")
    assert done.exit_code == 2
    assert "RUNYARD_URL" in done.stderr


def test_profiles_are_listed_chosen_and_removed(service: Service, home: Path) -> None:
    for name in ("first", "with space", "third"):
        words = ("login", "--profile", name, "--url", service.base_url)
        assert call(*words, stdin=f"{service.access_key}\n").exit_code == 0
    config = home / "config.toml"
    config.write_text("# My comment stays.\n" + config.read_text())
    assert call("profiles", "use", "with space").exit_code == 0
    assert call("profiles", "remove", "third").exit_code == 0
    rows = [line.split("\t") for line in call("profiles").stdout.splitlines()]
    assert [row[:2] for row in rows] == [["", "first"], ["*", "with space"]]
    assert call("profiles", "list", "--quiet").stdout == "first\nwith space\n"
    assert call("runs", "list").exit_code == 0
    assert "# My comment stays." in config.read_text()
    assert "third" not in (home / "credentials.toml").read_text()
    assert call("profiles", "use", "third").exit_code == 2


def test_a_second_login_replaces_a_profile(service: Service, home: Path) -> None:
    for words in (("--project", "dev"), ()):
        done = call("login", "--url", service.base_url, *words, stdin=f"{service.access_key}\n")
        assert done.exit_code == 0
    assert "project" not in (home / "config.toml").read_text()
    assert (home / "config.toml").read_text().count("[profiles.default]") == 1
