"""What a command prints, on terminals of any encoding."""

import io
import sys


def escape_what_cannot_be_encoded() -> None:
    """Let standard output show `\\u2026` where its encoding lacks a character, and not raise."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
