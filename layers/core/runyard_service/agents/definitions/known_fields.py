"""What a file or a request can contain instead of an unknown name: the text of the error."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel

# A list of more names would be longer than the page of the reference.
_MAX_NAMES = 12
_MAX_LISTED = 20
_MAX_NAME_LENGTH = 64


def similar_name(name: str, known: Iterable[str], similarity: float = 0.7) -> str:
    """Return text such as `; did you mean 'url'?`, or an empty text if no name is similar.

    `similarity` is a ratio of difflib, from 0 to 1.
    """
    import difflib  # Imported here because it is needed only for an error.

    if len(name) > _MAX_NAME_LENGTH:  # The comparison of long texts is slow.
        return ""

    similar = difflib.get_close_matches(name, sorted(set(known)), n=1, cutoff=similarity)
    return f"; did you mean {similar[0]!r}?" if similar else ""


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return the similar name as `similar_name` does, or else a short list of all names."""
    names = sorted(set(known))
    every = f"; known: {', '.join(names)}" if 0 < len(names) <= _MAX_NAMES else ""
    return similar_name(name, names) or every


def known_names(name: str, known: Iterable[str]) -> str:
    """Return a list of the known names and the similar one, for the caller of an API.

    Return an empty text if no name is known. A long list is cut.
    """
    names = sorted(set(known))
    listed = ", ".join(names[:_MAX_LISTED]) + (", …" if len(names) > _MAX_LISTED else "")
    return f"; known: {listed}{similar_name(name, names)}" if names else ""


def unknown_field_text(model: type[BaseModel], path: Sequence[str | int]) -> str:
    """Return the error of the unknown field at `path`, a location of a pydantic error."""
    return f"is not a known field{suggestion(str(path[-1]), known_fields(model, path))}"


def known_fields(model: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    """Return the names of the fields that can be where the unknown field at `path` is."""
    return sorted({name for found in _models_at(model, path[:-1]) for name in found.model_fields})


def _models_at(model: type[BaseModel], path: Sequence[str | int]) -> set[type[BaseModel]]:
    """Return the models that the value at `path` can have.

    A path also has indexes, keys of mappings, and tags or names of the alternatives of a union.
    """
    models = {model}
    for step in path:
        fields = [each.model_fields[step] for each in models if step in each.model_fields]
        if fields:
            models = {found for field in fields for found in _models_in(field.annotation)}
        elif chosen := {each for each in models if _is_called(each, step)}:
            models = chosen
    return models


def _is_called(model: type[BaseModel], step: str | int) -> bool:
    kind = model.model_fields.get("kind")
    tags = get_args(kind.annotation) if kind and get_origin(kind.annotation) is Literal else ()
    return step in tags or step == model.__name__


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)
