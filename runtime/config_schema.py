"""What the structs of a configuration say of its tables: which field is a table, an array of them, a secret. Pure."""

import types
import typing
from collections.abc import Iterator
from typing import Annotated, TypeGuard

import msgspec
from msgspec import Struct
from msgspec.structs import FieldInfo

from runtime.secret import Secret


def is_list(annotation: object) -> bool:
    """Whether a field of this type holds several values."""
    return any(typing.get_origin(part) in (list, tuple, set, frozenset) for part in _parts(annotation))


def is_secret(annotation: object) -> bool:
    """Whether a field of this type holds a secret, or perhaps none."""
    return Secret in _parts(annotation)


def struct_in(annotation: object) -> type[Struct] | None:
    """Give the Struct whose tables a field of this type holds: one, perhaps none, or an array of them."""
    for part in _parts(annotation):
        if _is_struct(part):
            return part
        if is_list(part):
            for element in typing.get_args(part):
                if (inner := struct_in(element)) is not None:
                    return inner
    return None


def secret_fields(kind: type[Struct], at: str) -> Iterator[tuple[FieldInfo, str]]:
    """List the secrets of a table at the path `at`, each with its own path."""
    for field in msgspec.structs.fields(kind):
        if is_secret(field.type):
            yield field, join(at, field.encode_name)


def inner_tables(
    kind: type[Struct], table: dict[str, object], at: str
) -> Iterator[tuple[type[Struct], dict[str, object], str]]:
    """List the tables in a table at the path `at`, each with its Struct and its own path."""
    for field in msgspec.structs.fields(kind):
        if (inner := struct_in(field.type)) is not None:
            path = join(at, field.encode_name)
            for index, element in tables_of(table.get(field.encode_name)):
                yield inner, element, path if index is None else f"{path}[{index}]"


def tables_of(found: object) -> Iterator[tuple[int | None, dict[str, object]]]:
    """List the tables in a value: itself, or the elements of an array with their places; others are passed over."""
    if isinstance(found, dict):
        yield None, found
    elif isinstance(found, list):
        for index, element in enumerate(found):
            if isinstance(element, dict):
                yield index, element


def join(at: str, key: str) -> str:
    """Give the path of a key of the table at the path `at`; the root's is empty."""
    return f"{at}.{key}" if at else key


def _parts(annotation: object) -> tuple[object, ...]:
    """Give the types that a value may have: the arms of a union, without what is annotated."""
    origin = typing.get_origin(annotation)
    if origin is Annotated:
        return _parts(typing.get_args(annotation)[0])
    if origin is typing.Union or origin is types.UnionType:
        return tuple(part for arm in typing.get_args(annotation) for part in _parts(arm))
    return (annotation,)


def _is_struct(kind: object) -> TypeGuard[type[Struct]]:
    return isinstance(kind, type) and issubclass(kind, Struct)
