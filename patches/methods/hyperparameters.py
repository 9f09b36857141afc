"""Hyperparameters as people type them and as they are explained."""

import ast
import inspect
import types
from collections.abc import Mapping
from dataclasses import fields, replace
from textwrap import dedent
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from ..errors import RequestRefused

H = TypeVar("H")
_YES_NO = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def hyperparameters_from(defaults: H, settings: Mapping[str, str]) -> H:
    """`defaults` with `settings`, as typed by a user, in place of the fields that they name.

    A tuple is written with commas, as in 4,5,6. Raises RequestRefused for an unknown name, or a
    value that the field cannot take.
    """
    hints = get_type_hints(type(defaults))
    known = {item.name for item in fields(defaults)}  # type: ignore[arg-type]
    for name in settings:
        if name not in known:
            raise RequestRefused(
                f"there is no hyperparameter {name!r}", hint=f"known: {', '.join(sorted(known))}"
            )
    values = {name: _parse(name, text.strip(), hints[name]) for name, text in settings.items()}
    changed: H = replace(defaults, **values)  # type: ignore[type-var]
    return changed


def explained(kind: type) -> dict[str, str]:
    """What each hyperparameter of a dataclass is for: the text below its field, in field order."""
    texts: dict[str, str] = {}
    for base in reversed(kind.__mro__[:-1]):
        (tree,) = ast.parse(dedent(inspect.getsource(base))).body
        assert isinstance(tree, ast.ClassDef)  # noqa: S101 - what a class's source is
        for statement, following in zip(tree.body, tree.body[1:], strict=False):
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                texts[statement.target.id] = _text(following)
    return {item.name: texts.get(item.name, "") for item in fields(kind)}


def _text(statement: ast.stmt) -> str:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return " ".join(str(statement.value.value).split())
    return ""


def _parse(name: str, text: str, hint: Any) -> Any:  # noqa: ANN401 - as the annotation says
    kind = hint
    if get_origin(hint) is types.UnionType:
        if text.lower() == "none":
            return None
        kind = next(each for each in get_args(hint) if each is not types.NoneType)
    try:
        return _value(text, kind)
    except (ValueError, KeyError):
        raise RequestRefused(f"{name} must be {_words(kind)}, not {text!r}") from None


def _value(text: str, kind: Any) -> Any:  # noqa: ANN401
    if get_origin(kind) is tuple:
        return tuple(_value(part.strip(), get_args(kind)[0]) for part in text.split(","))
    if get_origin(kind) is Literal:
        if text not in get_args(kind):
            raise ValueError
        return text
    return _YES_NO[text.lower()] if kind is bool else kind(text)


def _words(kind: Any) -> str:  # noqa: ANN401
    if get_origin(kind) is tuple:
        return f"{_words(get_args(kind)[0])}, or several with commas between them"
    if get_origin(kind) is Literal:
        return " or ".join(get_args(kind))
    names = {bool: "yes or no", int: "a whole number", float: "a number", str: "a word"}
    return names[kind]
