"""How large each built function is with its layers, zipped: what a deploy uploads.

`python -m benchmarks.zip_sizes` prints it, and fails where one is above its ceiling.
"""

import sys
import tempfile
import zipfile
from functools import lru_cache
from pathlib import Path

from benchmarks.built_functions import BUILD, functions, lacking, layers_of

# In MB of 1,000,000 bytes. run_step contains the providers' clients.
CEILING = 15.0
CEILINGS = {"run_step": 40.0}


def sizes() -> dict[str, float]:
    """MB of each function and its layers together, zipped."""
    return {
        name: sum(
            zipped_bytes(folder)
            for folder in (function.code_dir, *(BUILD / layer for layer in layers_of(function)))
        )
        / 1e6
        for name, function in functions().items()
    }


def too_large(found: dict[str, float]) -> list[str]:
    """The functions above their ceilings."""
    return [name for name, size in found.items() if size > CEILINGS.get(name, CEILING)]


@lru_cache
def zipped_bytes(folder: Path) -> int:
    """The size of the archive that a deploy makes of the folder."""
    with tempfile.TemporaryFile() as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(folder.rglob("*")):
                archive.write(path, path.relative_to(folder))
        return file.seek(0, 2)


def main() -> int:
    """Print the table."""
    if command := lacking():
        print(f"nothing is built: run `{command}`", file=sys.stderr)
        return 1
    found = sizes()
    print("function           MB zipped   at most")
    for name, size in found.items():
        print(f"{name:<18}{size:>10.1f}{CEILINGS.get(name, CEILING):>10g}")
    return int(bool(too_large(found)))


if __name__ == "__main__":
    sys.exit(main())
