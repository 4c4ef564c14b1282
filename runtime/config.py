"""Configuration: a TOML file, then the environment over it, into frozen structs. Reads files; nothing else.

Every field of a table can be set by ``SIGNAL_<TABLE>_<KEY>`` (``SIGNAL_LISTEN_PORT``), every field of an element of an
array of tables that the file has by ``SIGNAL_<TABLE>_<INDEX>_<KEY>`` (``SIGNAL_FEEDS_0_URL``); lists are separated by
commas. Other variables that begin with ``SIGNAL_`` are not ours: an orchestrator sets such for every service it knows.

A secret is a field of type :class:`Secret`. The file cannot hold one: it names another file that does, by the key with
``_file`` behind it, and so does the environment with ``_FILE``; the bare variable holds the secret itself.
"""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import FieldInfo

from runtime.config_schema import inner_tables, is_list, is_secret, join, secret_fields, struct_in, tables_of
from runtime.errors import ConfigError
from runtime.secret import Secret

__all__ = ["ConfigError", "Secret", "convert_table", "load_config", "read_toml"]

T = TypeVar("T", bound=Struct)

_PREFIX: Final = "SIGNAL"


def load_config(
    kind: type[T],
    *,
    environment: Mapping[str, str],
    path: Path | None = None,
    aliases: Mapping[str, str] | None = None,
) -> T:
    """Read the configuration of a component.

    `kind` is a frozen Struct of tables with ``forbid_unknown_fields``. `path` is the TOML file; without one, defaults
    and the environment are all there is. `aliases` are further names of variables for fields: ``{"INTERNAL_API_KEY":
    "user_service.api_key"}``; the ``SIGNAL_`` name of the same field wins.

    Raises ConfigError with the field's path, or the name of the variable, what was expected and what was found.
    """
    tables = {} if path is None else read_toml(path)
    _refuse_inline_secrets(kind, tables, "")
    _overlay(kind, tables, _PREFIX, "", _Environment(environment, aliases or {}))
    _read_secret_files(kind, tables, "")
    return convert_table(kind, tables, "configuration" if path is None else str(path))


def read_toml(path: Path) -> dict[str, object]:
    """Read a file of tables. Raises ConfigError when it cannot be read or is not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: expected a readable file, found: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: expected TOML, found: {error}") from None


def convert_table(kind: type[T], table: Mapping[str, object], source: str) -> T:
    """Turn a table into its Struct. Raises ConfigError, which names the source, the path, and what was expected."""
    try:
        return msgspec.convert(table, kind, dec_hook=_decode_secret)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{source}: {_explain(error, kind, table)}") from None


class _Environment:
    """The variables, and the further names that some fields have in them."""

    def __init__(self, variables: Mapping[str, str], aliases: Mapping[str, str]) -> None:
        self._variables = variables
        self._aliases = {path: name for name, path in aliases.items()}

    def find(self, name: str, path: str, suffix: str = "") -> tuple[str, str] | None:
        """Give the variable that sets the field at a path, and its text."""
        for candidate in (name, self._aliases.get(path)):
            if candidate is not None and (variable := candidate + suffix) in self._variables:
                return variable, self._variables[variable]
        return None


def _overlay(kind: type[Struct], table: dict[str, object], prefix: str, at: str, environment: _Environment) -> None:
    """Set in `table`, a table of `kind`, what the environment says of it and of the tables in it."""
    for field in msgspec.structs.fields(kind):
        name, path = f"{prefix}_{field.encode_name.upper()}", join(at, field.encode_name)
        if (inner := struct_in(field.type)) is not None:
            _overlay_tables(field, inner, table, (name, path), environment)
        elif is_secret(field.type):
            _overlay_secret(field, table, (name, path), environment)
        elif (variable := environment.find(name, path)) is not None:
            table[field.encode_name] = _parse_variable(field, *variable)


def _overlay_tables(
    field: FieldInfo, inner: type[Struct], table: dict[str, object], where: tuple[str, str], environment: _Environment
) -> None:
    key, (name, path) = field.encode_name, where
    if key not in table and not is_list(field.type):
        added: dict[str, object] = {}
        _overlay(inner, added, name, path, environment)
        if added:
            table[key] = added
        return
    for index, element in tables_of(table.get(key)):
        if index is None:
            _overlay(inner, element, name, path, environment)
        else:
            _overlay(inner, element, f"{name}_{index}", f"{path}[{index}]", environment)


def _overlay_secret(
    field: FieldInfo, table: dict[str, object], where: tuple[str, str], environment: _Environment
) -> None:
    key = field.encode_name
    if (variable := environment.find(*where)) is not None:
        table[key] = _secret(variable[1], f"{variable[0]} in the environment")
        table.pop(f"{key}_file", None)
    elif (variable := environment.find(*where, suffix="_FILE")) is not None:
        table[f"{key}_file"] = variable[1]


def _parse_variable(field: FieldInfo, name: str, text: str) -> object:
    """Turn a variable's text into what the TOML file would hold for the field."""
    value: object = [part.strip() for part in text.split(",") if part.strip()] if is_list(field.type) else text
    try:
        return msgspec.to_builtins(msgspec.convert(value, field.type, strict=False))
    except msgspec.ValidationError as error:
        raise ConfigError(f"{name} in the environment: {_lower(str(error))}, found {text!r}") from None


def _refuse_inline_secrets(kind: type[Struct], table: dict[str, object], at: str) -> None:
    for field, path in secret_fields(kind, at):
        if field.encode_name in table:
            raise ConfigError(
                f"{path}: expected the secret in the environment, or in a file that {path}_file names; found it here"
            )
    for inner, element, path in inner_tables(kind, table, at):
        _refuse_inline_secrets(inner, element, path)


def _read_secret_files(kind: type[Struct], table: dict[str, object], at: str) -> None:
    """Replace each ``key_file`` of a secret by the secret that the file holds, without the newline at its end."""
    for field, path in secret_fields(kind, at):
        named = table.pop(f"{field.encode_name}_file", None)
        if named is None:
            continue
        if not isinstance(named, str):
            raise ConfigError(f"{path}_file: expected the path of a file, found {named!r}")
        try:
            text = Path(named).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, ValueError) as error:
            cause = error.strerror if isinstance(error, OSError) else "text that is not UTF-8"
            raise ConfigError(f"{path}_file: expected a readable file, found {named!r}: {cause}") from None
        table[field.encode_name] = _secret(text, f"{path}_file")
    for inner, element, path in inner_tables(kind, table, at):
        _read_secret_files(inner, element, path)


def _secret(text: str, source: str) -> Secret:
    if not text:
        raise ConfigError(f"{source}: expected a secret, found an empty text")
    return Secret(text)


def _decode_secret(kind: type, value: object) -> object:
    if kind is Secret and isinstance(value, Secret):
        return value
    raise NotImplementedError(f"expected a type that msgspec reads, found {kind!r}")


def _explain(error: msgspec.ValidationError, kind: type[Struct], table: Mapping[str, object]) -> str:
    """Say of msgspec's error where it is, what was expected and what was found."""
    message, _, raw_path = str(error).partition(" - at `$")
    path = raw_path.rstrip("`").lstrip(".")
    unknown = re.fullmatch(r"Object contains unknown field `(.*)`", message)
    if unknown is not None:
        known = ", ".join(field.encode_name for field in msgspec.structs.fields(_struct_at(kind, path)))
        return f"{join(path, unknown[1])}: expected one of: {known}; found an unknown field"
    missing = re.fullmatch(r"Object missing required field `(.*)`", message)
    if missing is not None:
        return f"{join(path, missing[1])}: expected a value, found none"
    return f"{path or 'all of it'}: {_lower(message)}, found {_value_at(table, path)!r}"


def _steps(path: str) -> list[str]:
    return re.findall(r"[^.\[\]]+", path)


def _struct_at(kind: type[Struct], path: str) -> type[Struct]:
    for step in _steps(path):
        for field in msgspec.structs.fields(kind):
            if field.encode_name == step and (inner := struct_in(field.type)) is not None:
                kind = inner
    return kind


def _value_at(value: object, path: str) -> object:
    for step in _steps(path):
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, list) and step.isdecimal():
            value = value[int(step)]
    return value


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]
