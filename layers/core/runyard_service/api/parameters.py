"""The names in a query: what a route does not know, or knows only once."""

from collections.abc import Collection

from starlette.datastructures import QueryParams


def faults_of_names(
    query: QueryParams, known: Collection[str], repeatable: Collection[str] = ()
) -> dict[str, str]:
    """What is wrong with a query by the names of its parameters alone."""
    faults: dict[str, str] = {}
    seen: set[str] = set()
    for name, _ in query.multi_items():
        if name not in known:
            faults[name] = "is not a known parameter"
        elif name in seen and name not in repeatable:
            faults[name] = "must be given once"
        seen.add(name)
    return faults
