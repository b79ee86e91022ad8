"""Write profiles and access keys to where `runyard.client.configuration` reads them."""

import json
import os
import re
import tempfile
import tomllib
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from runyard.client.configuration import (
    CONFIG_FILE,
    CREDENTIALS_FILE,
    KEYRING_SERVICE,
    config_folder,
)


def save_profile(name: str, fields: Mapping[str, str | None]) -> Path:
    """Write the profile into `config.toml`, in place of one of the same name; return the file."""
    file = config_folder() / CONFIG_FILE
    _replace_table(file, f"profiles.{_toml_key(name)}", fields)
    return file


def remove_profile(name: str) -> None:
    """Remove the profile and its stored key."""
    folder = config_folder()
    _replace_table(folder / CONFIG_FILE, f"profiles.{_toml_key(name)}", None)
    remove_key(name)


def set_default(name: str) -> None:
    """Make the profile the default: write `default_profile` at the top of `config.toml`."""
    file = config_folder() / CONFIG_FILE
    lines = [line for line in _read(file) if not re.match(r"\s*default_profile\s*=", line)]
    _write(file, [f"default_profile = {json.dumps(name)}", *lines])


def default_profile() -> str | None:
    """Return the name in `default_profile` of `config.toml`, or None."""
    value = tomllib.loads("\n".join(_read(config_folder() / CONFIG_FILE))).get("default_profile")
    return value if isinstance(value, str) else None


def save_key(name: str, key: str) -> str:
    """Store the key of a profile; return where: `keyring`, or the path of `credentials.toml`."""
    remove_key(name)
    if _uses_keyring() and _set_in_keyring(name, key):
        return "keyring"
    file = config_folder() / CREDENTIALS_FILE
    _replace_table(file, _toml_key(name), {"access_key": key})
    return str(file)


def remove_key(name: str) -> None:
    """Remove the key of a profile from the keyring and from `credentials.toml`."""
    file = config_folder() / CREDENTIALS_FILE
    if file.exists():
        _replace_table(file, _toml_key(name), None)
    if _uses_keyring():
        import keyring
        import keyring.errors

        try:
            keyring.delete_password(KEYRING_SERVICE, name)
        except keyring.errors.KeyringError:
            return  # It was not there, or there is no keyring.


def _uses_keyring() -> bool:
    return find_spec("keyring") is not None


def _set_in_keyring(name: str, key: str) -> bool:
    import keyring
    import keyring.errors

    try:
        keyring.set_password(KEYRING_SERVICE, name, key)
    except keyring.errors.KeyringError:
        return False  # A machine without a desktop session has no keyring.
    return True


def _toml_key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name)


def _replace_table(file: Path, table: str, fields: Mapping[str, str | None] | None) -> None:
    """Replace a table of the file, and leave everything else as it is; None removes it."""
    lines, is_inside = [], False
    for line in _read(file):
        if line.lstrip().startswith("["):
            is_inside = line.split("#")[0].strip() == f"[{table}]"
        if not is_inside:
            lines.append(line)
    if fields is not None:
        values = {name: value for name, value in fields.items() if value}
        lines += [
            f"[{table}]",
            *(f"{name} = {json.dumps(value)}" for name, value in values.items()),
        ]
    _write(file, lines)


def _read(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").splitlines() if file.exists() else []


def _write(file: Path, lines: list[str]) -> None:
    """Replace the file at once. Only this user can read it."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=file.name)  # Mode 0600.
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write("\n".join(lines) + "\n")
    Path(temporary).replace(file)
