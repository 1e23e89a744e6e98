"""Checks an object against the annotations of the installed stripe package, so that the double cannot drift from it.

Stricter than the SDK: enums are open there, but a value outside the documented ones is a finding here. It refuses to
guess: an annotation that it does not know is an error.
"""

from __future__ import annotations

import ast
import importlib
import inspect
from decimal import Decimal
from functools import cache
from typing import Any, ClassVar, ForwardRef, Literal, Union, get_args, get_origin

from stripe import ListObject, StripeObject
from stripe._stripe_object import UntypedStripeObject

_SCALARS: dict[Any, tuple[type, ...]] = {  # Any: annotations
    int: (int,),
    str: (str,),
    bool: (bool,),
    float: (float, int),
    Decimal: (str,),  # decimal strings on the wire
}


def findings(value: object, shape: type, path: str = "") -> list[str]:
    """What is wrong with `value` as a `shape`: missing and unknown fields, wrong types, undocumented enum values."""
    path = path or shape.__name__
    if not isinstance(value, dict):
        return [f"{path}: {type(value).__name__} instead of an object"]
    fields = {name: kind for name, kind in shape.__annotations__.items() if _origin(kind) is not ClassVar}
    found = [f"{path}.{name}: unknown field" for name in value if name not in fields]
    for name, kind in fields.items():
        if name in value:
            found += _faults(value[name], kind, f"{path}.{name}", shape)
        elif not _nullable(kind):
            found.append(f"{path}.{name}: missing")
    return found


def absent_fields(value: dict[str, object], shape: type) -> set[str]:
    """Nullable fields that the object does not show at all."""
    return {name for name, kind in shape.__annotations__.items() if _origin(kind) is not ClassVar} - set(value)


def _origin(kind: Any) -> Any:  # Any: annotations
    return get_origin(kind)


def _nullable(kind: Any) -> bool:  # Any: annotations
    return _origin(kind) is Union and type(None) in get_args(kind)


def _faults(value: object, kind: Any, path: str, owner: type) -> list[str]:  # Any: annotations
    origin, arguments = _origin(kind), get_args(kind)
    if origin is Union:
        return _faults_of_union(value, arguments, path, owner)
    if origin is list:
        return _faults_of_list(value, arguments[0], path, owner)
    if origin is ListObject:
        return _faults_of_list_object(value, arguments[0], path, owner)
    return _faults_of_single(value, kind, path, owner)


def _faults_of_single(value: object, kind: Any, path: str, owner: type) -> list[str]:  # Any: annotations
    found: list[str] = []
    if isinstance(kind, ForwardRef | str):
        name = kind if isinstance(kind, str) else kind.__forward_arg__
        found = findings(value, _resolve(owner, name), path)
    elif _origin(kind) is Literal:
        documented = get_args(kind)
        found = [] if value in documented else [f"{path}: {value!r} is not one of {len(documented)} documented values"]
    elif kind in _SCALARS:
        fits = isinstance(value, _SCALARS[kind]) and (kind is bool or not isinstance(value, bool))
        found = [] if fits else [f"{path}: {value!r} is not {kind.__name__}"]
    elif inspect.isclass(kind) and issubclass(kind, StripeObject):
        found = findings(value, kind, path)
    elif kind is not Any and _origin(kind) is not UntypedStripeObject:
        raise TypeError(f"{path}: the checker does not know the annotation {kind!r}")
    return found


def _faults_of_union(
    value: object, arguments: tuple[Any, ...], path: str, owner: type
) -> list[str]:  # Any: annotations
    if value is None:
        return [] if type(None) in arguments else [f"{path}: null"]
    kinds = [kind for kind in arguments if kind is not type(None)]
    if isinstance(value, str) and any(_origin(kind) is Literal for kind in kinds):
        # An open enum: only its documented values count here.
        kinds = [kind for kind in kinds if kind is not str]
    tried = [_faults(value, kind, path, owner) for kind in kinds]
    return min(tried, key=len)


def _faults_of_list(value: object, kind: Any, path: str, owner: type) -> list[str]:  # Any: annotations
    if not isinstance(value, list):
        return [f"{path}: {type(value).__name__} instead of a list"]
    return [fault for index, item in enumerate(value) for fault in _faults(item, kind, f"{path}[{index}]", owner)]


def _faults_of_list_object(value: object, kind: Any, path: str, owner: type) -> list[str]:  # Any: annotations
    if not isinstance(value, dict) or set(value) != {"object", "data", "has_more", "url"} or value["object"] != "list":
        return [f"{path}: not a list object"]
    return [
        fault for index, item in enumerate(value["data"]) for fault in _faults(item, kind, f"{path}[{index}]", owner)
    ]


def _resolve(owner: type, name: str) -> type:
    """The class that a forward reference names: imported for type checkers only, or of the same module."""
    module_name, attribute = _type_checking_imports(owner.__module__).get(name, (owner.__module__, name))
    resolved: type = getattr(importlib.import_module(module_name), attribute)
    return resolved


@cache
def _type_checking_imports(module_name: str) -> dict[str, tuple[str, str]]:
    source = inspect.getsource(importlib.import_module(module_name))
    return {
        alias.asname or alias.name: (node.module, alias.name)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
