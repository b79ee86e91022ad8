"""The host of an `http` tool, known before a call of it is made."""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

_VARIABLE = re.compile(r"\$\{([A-Za-z_]\w*)\}")


def host_of(template: str, variables: Mapping[str, str]) -> str:
    """Host and port of a tool's URL, with the installation's values in it.

    An argument in the host stays as it is written: what it leads to is one address here.
    """
    url = _VARIABLE.sub(lambda match: variables.get(match[1], ""), template)
    return urlsplit(url).netloc
