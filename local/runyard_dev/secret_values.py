"""The values of the template's secrets, generated once and saved in files with mode 0600."""

import json
import os
import secrets
import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runyard_dev.template.template import Secret

_CHARACTERS = {
    "ExcludeLowercase": string.ascii_lowercase,
    "ExcludeUppercase": string.ascii_uppercase,
    "ExcludeNumbers": string.digits,
    "ExcludePunctuation": string.punctuation,
}


def value_of(secret: Secret, folder: Path) -> str:
    """Return the text of the secret. A generated text is the same at each start."""
    if secret.generate is None:
        return secret.text or ""
    path = folder / secret.name.replace("/", "%2F")
    if path.exists():
        return path.read_text(encoding="utf-8")
    value = _generate(secret.generate)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_secret(path, value)
    return value


def write_secret(path: Path, value: str) -> None:
    """Write the file durably, with mode 0600."""
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(value)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _generate(rule: Mapping[str, Any]) -> str:
    """Return a value for `GenerateSecretString`, as Secrets Manager generates it."""
    excluded = rule.get("ExcludeCharacters", "")
    groups = [characters for key, characters in _CHARACTERS.items() if not rule.get(key)]
    allowed = [each for each in "".join(groups) if each not in excluded]
    password = "".join(secrets.choice(allowed) for _ in range(int(rule.get("PasswordLength", 32))))
    if key := rule.get("GenerateStringKey"):
        return json.dumps(json.loads(rule.get("SecretStringTemplate", "{}")) | {key: password})
    return password
