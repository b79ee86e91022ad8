"""Where a client finds the URL, the access key and the project.

The first of these that has a value counts:

1. an argument, or an option of the command line; also the profile that an argument names;
2. the environment variables `RUNYARD_URL`, `RUNYARD_ACCESS_KEY`, `RUNYARD_PROJECT`;
3. the profile in `config.toml` of `config_folder()`. `RUNYARD_PROFILE` names it; otherwise it is
   the file's `default_profile`, or its only profile;
4. a local stack in `./.runyard`, which is also the profile `local`.

A profile counts only if its URL is used: its key is sent to no other URL.
"""

import os
import shlex
import subprocess
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from runyard.client.access_key import AccessKey

CONFIG_FILE = "config.toml"
CREDENTIALS_FILE = "credentials.toml"
KEYRING_SERVICE = "runyard"
LOCAL_PROFILE = "local"
LOCAL_FOLDER = ".runyard"
_KEY_COMMAND_SECONDS = 60
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class ConfigurationError(ValueError):
    """A value is missing or invalid. The message says how to set it."""


@dataclass(frozen=True)
class Configuration:
    """What a client needs. `sources` says where each value is from, by its name."""

    url: str
    access_key: AccessKey
    project: str | None = None
    profile: str | None = None
    sources: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Profile:
    """The settings of one profile, without its access key."""

    name: str
    url: str
    project: str | None = None
    key_command: str | None = None
    source: str = ""


def config_folder(environment: Mapping[str, str] | None = None) -> Path:
    """Return the folder of `config.toml` and `credentials.toml`."""
    environment = os.environ if environment is None else environment
    base = environment.get("XDG_CONFIG_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".config") / "runyard"


def read_profiles(environment: Mapping[str, str] | None = None) -> dict[str, Profile]:
    """Return the profiles in `config.toml` by name. Raise ConfigurationError."""
    file = config_folder(environment) / CONFIG_FILE
    tables = _read_toml(file).get("profiles", {})
    if not isinstance(tables, dict):
        raise ConfigurationError(f"{file}: `profiles` must be a table; write [profiles.NAME]")
    return {name: _profile(name, table, file) for name, table in tables.items()}


def load_configuration(
    *,
    url: str | None = None,
    access_key: str | None = None,
    project: str | None = None,
    profile: str | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Configuration:
    """Return the configuration of a client. Raise ConfigurationError.

    The arguments win over `environment`, by default `os.environ`. `folder` is the folder that can
    contain a local stack, by default the current one.
    """
    environment = os.environ if environment is None else environment
    local = (folder or Path.cwd()) / LOCAL_FOLDER
    chosen = _choose_profile(profile, environment, local)
    arguments = {"url": url, "access_key": access_key, "project": project}
    found = {name: (value, "argument") for name, value in arguments.items() if value}
    if profile:
        found = _profile_values(chosen, found, environment, local) | found
    for name in arguments:
        variable = f"RUNYARD_{name.upper()}"
        if environment.get(variable):
            found.setdefault(name, (environment[variable], variable))
    found = _profile_values(chosen, found, environment, local) | found
    return _checked(found, chosen)


def _profile_values(
    profile: Profile | None,
    found: Mapping[str, tuple[str, str]],
    environment: Mapping[str, str],
    local: Path,
) -> dict[str, tuple[str, str]]:
    """Return the values of the profile; none if `found` has another URL."""
    if profile is None:
        return {}
    if "url" in found and _check_url(found["url"][0]) != _check_url(profile.url):
        return {}
    values = {"url": (profile.url, profile.source)}
    if profile.project:
        values["project"] = profile.project, profile.source
    if "access_key" not in found:
        values |= _stored_key(profile, environment, local)
    return values


def _checked(found: Mapping[str, tuple[str, str]], profile: Profile | None) -> Configuration:
    if "url" not in found:
        raise ConfigurationError(_missing("URL", "RUNYARD_URL"))
    url = _check_url(found["url"][0])
    if "access_key" not in found:
        raise ConfigurationError(_missing(f"access key for {url}", "RUNYARD_ACCESS_KEY"))
    return Configuration(
        url=url,
        access_key=AccessKey(_check_key(found["access_key"][0])),
        project=found["project"][0] if "project" in found else None,
        profile=profile.name if profile else None,
        sources={name: source for name, (_, source) in found.items()},
    )


def _missing(what: str, variable: str) -> str:
    return (
        f"there is no {what}. Set {variable}, or name a profile of {config_folder() / CONFIG_FILE}"
        " with RUNYARD_PROFILE, or start a local stack in this folder"
    )


def _choose_profile(
    argument: str | None, environment: Mapping[str, str], local: Path
) -> Profile | None:
    file = config_folder(environment) / CONFIG_FILE
    profiles = read_profiles(environment)
    name = argument or environment.get("RUNYARD_PROFILE") or _read_toml(file).get("default_profile")
    if name is None and len(profiles) == 1:
        [name] = profiles
    if name in profiles:
        return profiles[name]
    if name not in (None, LOCAL_PROFILE):
        known = ", ".join(sorted({*profiles, LOCAL_PROFILE}))
        raise ConfigurationError(f"there is no profile {name!r} in {file}; there is: {known}")
    return _local_profile(local)


def _local_profile(local: Path) -> Profile | None:
    url = _read_text(local / "url")
    if not url:
        return None
    if urlsplit(url).hostname not in _LOOPBACK:
        raise ConfigurationError(f"{local / 'url'} must have an address of this machine")
    return Profile(LOCAL_PROFILE, url, source=str(local))


def _profile(name: str, table: Any, file: Path) -> Profile:
    """Return the profile in a table of `config.toml`; its `url` is required."""
    if not isinstance(table, dict):
        raise ConfigurationError(f"{file}: profiles.{name} must be a table")
    unknown = set(table) - {"url", "project", "key_command"}
    if unknown or "url" not in table or not all(isinstance(v, str) for v in table.values()):
        raise ConfigurationError(
            f"{file}: profiles.{name} must have url, and can have project and key_command; all are"
            " strings"
        )
    return Profile(name, source=str(file), **table)


def _stored_key(
    profile: Profile, environment: Mapping[str, str], local: Path
) -> dict[str, tuple[str, str]]:
    """Return the profile's key and its source as `access_key`; empty if there is none."""
    if profile.source == str(local):
        key = _read_text(local / "access-key")
        return {"access_key": (key, str(local / "access-key"))} if key else {}
    if profile.key_command:
        return {"access_key": (_run_key_command(profile), "key_command")}
    if saved := _keyring_key(profile.name):
        return {"access_key": (saved, "keyring")}
    file = config_folder(environment) / CREDENTIALS_FILE
    table = _read_toml(file).get(profile.name, {})
    written = table.get("access_key") if isinstance(table, dict) else None
    if not isinstance(written, str) or not written:
        return {}
    if os.name == "posix" and file.stat().st_mode & 0o077:
        raise ConfigurationError(f"other users can read {file}: run chmod 600 {file}")
    return {"access_key": (written, str(file))}


def _run_key_command(profile: Profile) -> str:
    try:
        done = subprocess.run(
            shlex.split(profile.key_command or ""),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            timeout=_KEY_COMMAND_SECONDS,
            check=False,
        )
        key = done.stdout.decode(errors="replace").strip() if done.returncode == 0 else ""
    except (OSError, ValueError, subprocess.TimeoutExpired):
        key = ""
    if not key:
        raise ConfigurationError(
            f"the key_command of profile {profile.name} has printed no access key; run it by hand"
        )
    return key


def _keyring_key(profile: str) -> str | None:
    if find_spec("keyring") is None:
        return None
    import keyring
    import keyring.errors

    try:
        key: str | None = keyring.get_password(KEYRING_SERVICE, profile)
    except keyring.errors.KeyringError:
        return None  # A machine without a desktop session has no keyring.
    return key


def _check_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.username:
        raise ConfigurationError(f"{url!r} must be a URL such as https://api.example.com")
    return url.rstrip("/").removesuffix("/v1")


def _check_key(key: str) -> str:
    text = key.strip()
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise ConfigurationError("the access key must be printable ASCII without spaces")
    return text


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        reason = "is no TOML" if isinstance(error, ValueError) else f"cannot be read: {error}"
        raise ConfigurationError(f"{file} {reason}") from None


def _read_text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
