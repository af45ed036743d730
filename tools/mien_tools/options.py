"""Dataclass fields that are command line options as well."""

import argparse
from dataclasses import MISSING, Field, field, fields
from typing import Any


def option(default: Any, help: str, choices: tuple[str, ...] | None = None) -> Any:
    """A dataclass field with a help text; lists are copied for each instance."""
    metadata = {"help": help, "choices": choices}
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def add_options(parser: argparse.ArgumentParser, options: type) -> None:
    """One `--name-of-field` for each field made by `option`; those of booleans are flags."""
    for item in fields(options):
        if "help" in item.metadata:
            parser.add_argument("--" + item.name.replace("_", "-"), **_argument(item))


def take_options(values: dict[str, Any], options: type) -> dict[str, Any]:
    """Remove from parsed `values` those that belong to `options`, and return them."""
    return {item.name: values.pop(item.name) for item in fields(options) if item.name in values}


def _argument(item: Field) -> dict[str, Any]:
    default = item.default_factory() if item.default is MISSING else item.default
    if item.type is bool:
        return {"action": "store_true", "help": item.metadata["help"]}
    argument: dict[str, Any] = {
        "default": default,
        "choices": item.metadata["choices"],
        "help": f"{item.metadata['help']} (default: {_shown(default)})",
    }
    if isinstance(default, list):
        return argument | {"nargs": "*", "metavar": "NAME"}
    metavar = None if item.metadata["choices"] else item.type.__name__.upper()
    return argument | {"type": item.type, "metavar": metavar}


def _shown(default: Any) -> str:
    text = " ".join(default) if isinstance(default, list) else str(default)
    return text.replace("%", "%%") or "none"
