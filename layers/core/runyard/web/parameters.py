"""The names in a query: what a route does not know, or knows only once."""

from collections.abc import Collection, Iterable


def faults_of_names(
    names: Iterable[str], known: Collection[str], repeatable: Collection[str] = ()
) -> dict[str, str]:
    """What is wrong with a query by the names of its parameters, repeated ones repeated."""
    faults: dict[str, str] = {}
    seen: set[str] = set()
    for name in names:
        if name not in known:
            faults[name] = "is not a known parameter"
        elif name in seen and name not in repeatable:
            faults[name] = "must be given once"
        seen.add(name)
    return faults
