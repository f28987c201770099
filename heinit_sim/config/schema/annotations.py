"""Annotations of the types of settings, and the base of all sections of a config."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Discriminator, Tag
from pydantic_core import PydanticCustomError, core_schema

from heinit_sim.config import arithmetic
from heinit_sim.experiment.labels import WrittenNumber
from heinit_sim.experiment.synonyms import first_names

Schema = dict[str, Any]
_ARITHMETIC = r"[-+*/(a-z]"  # is in any text that is arithmetic
T = TypeVar("T")


class Formula(str):
    """Arithmetic with names in it, whose value each layer has another of."""

    __slots__ = ()


class Limits:
    """Annotation of a type: its bounds, and the words that messages have for them.

    A number with a fraction may be written as arithmetic, whose value has to be within bounds.
    """

    def __init__(self, words: str, *, by_layer: bool = False, **bounds: Any) -> None:
        """State bounds as pydantic's core schemas name them: ge, gt, le, min_length, ….

        Args:
            words: What messages say of them.
            by_layer: Whether arithmetic may name what differs by layer, and stays a text then.
            bounds: The bounds.
        """
        self.words, self.bounds, self.by_layer = words, bounds, by_layer

    def __str__(self) -> str:
        return self.words

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        schema = {**handler(source), **self.bounds}
        if schema["type"] != "float":
            return schema
        as_text = core_schema.plain_serializer_function_ser_schema(as_text_if_written)
        return core_schema.no_info_wrap_validator_function(
            self._number, schema, serialization=as_text
        )

    def __get_pydantic_json_schema__(self, core: Any, handler: Callable[[Any], Schema]) -> Schema:
        schema = handler(core)
        if core.get("schema", {}).get("type") != "float":
            return schema
        return {"anyOf": [schema, {"type": "string", "pattern": _ARITHMETIC}]}

    def _number(self, given: object, check: Callable[[object], Any]) -> object:
        """The number that is given, or that arithmetic comes to; a text where layers differ."""
        if not isinstance(given, str) or not arithmetic.is_arithmetic(given):
            return check(given)
        if given.isidentifier() and given not in arithmetic.NAMES:
            return check(given)  # a word is no arithmetic
        try:
            names = arithmetic.names_in(given)
            if names and self.by_layer:
                return Formula(given)
            if names:
                raise arithmetic.NotArithmeticError(f"no {min(names)} here ({given!r})")
            number = WrittenNumber(arithmetic.value_of(given, {}), given)
        except arithmetic.NotArithmeticError as error:
            text = str(error)
            if not self.by_layer:
                text, _, _ = text.partition(", must be one of")  # names, of which there are none
            raise PydanticCustomError("arithmetic", "{text}", {"text": text}) from None
        check(number)
        return number


class Setting(Limits):
    """Annotation of the type of a setting: what it sets, and what may be given."""

    def __init__(self, meaning: str, allowed: Any, *, swept: bool = True) -> None:
        """Describe a setting.

        Args:
            meaning: What it sets, with its letter in the formulas.
            allowed: What may be given: limits, words, or the `Literal` of all choices.
            swept: Whether a sweep can try several values.
        """
        limits = allowed if isinstance(allowed, Limits) else Limits("")
        words = choice(allowed) if get_args(allowed) else str(allowed)
        super().__init__(words, by_layer=limits.by_layer, **limits.bounds)
        self.meaning, self.swept = meaning, swept

    def __get_pydantic_json_schema__(self, core: Any, handler: Callable[[Any], Schema]) -> Schema:
        schema = super().__get_pydantic_json_schema__(core, handler)
        return {**schema, "description": f"{self.meaning}: {self}."}


def integer(low: int, high: int, words: str = "an integer") -> Limits:
    """An integer from one bound to the other."""
    return Limits(f"{words} {in_words(ge=low, le=high)}", ge=low, le=high)


def number(but: str = "", *, by_layer: bool = False, **bounds: float) -> Limits:
    """A number within bounds; `but` says what messages add to them."""
    return Limits(f"a number {in_words(**bounds)}{but}", by_layer=by_layer, **bounds)


def in_words(**bounds: float) -> str:
    """Bounds as messages state them, e.g. "from 1e-6 to 1e6" or "above 0"."""
    match {key: written(bound) for key, bound in bounds.items()}:
        case {"ge": low, "lt": high}:
            return f"from {low} to below {high}"
        case {"ge": low, "le": high}:
            return f"from {low} to {high}"
        case {"gt": low, "le": high}:
            return f"above {low} and at most {high}"
        case {"gt": low}:
            return f"above {low}"
    return f"of at least {written(bounds['ge'])}"


def written(bound: float) -> str:
    """A bound as one writes it in a config, e.g. "1000" or, of a float, "1e6"."""
    if isinstance(bound, int):
        return str(bound)
    return f"{bound:g}".replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")


def choice(choices: Any) -> str:
    """The choices of a `Literal` in words."""
    words = get_args(choices)
    return words[0] if len(words) == 1 else f"one of {', '.join(words)}"


ONE_OR_LIST = Discriminator(lambda value: "<list>" if isinstance(value, list) else "<one>")
OneOrList = Annotated[Annotated[T, Tag("<one>")] | Annotated[list[T], Tag("<list>")], ONE_OR_LIST]
"""A value for all layers, or a list of one for each."""


def located(values: T | list[T]) -> list[tuple[tuple[int, ...], T]]:
    """Yield the values of a `OneOrList` with the keys that lead to each: none or its index."""
    if isinstance(values, list):
        return [((index,), value) for index, value in enumerate(values)]
    return [((), values)]


def as_text_if_written(value: object) -> Any:
    """The plain value in which numbers that are written as arithmetic are its text."""
    if isinstance(value, dict):
        return {key: as_text_if_written(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [as_text_if_written(inner) for inner in value]
    return str(value) if isinstance(value, WrittenNumber | Formula) else value


class Section(BaseModel):
    """Base of all sections of a config: typed strictly, and closed."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, frozen=True)


def relation(text: str, *at: str | int) -> PydanticCustomError:
    """Values that do not go together; `at` leads from the field to the one to blame."""
    return PydanticCustomError("relation", "{text}", {"text": text, "at": at})


def section_of(kind: Any) -> type[Section] | None:
    """The section that an annotated type is, or may be beside a list or null; None without one."""
    while get_args(kind):
        kind = get_args(kind)[0]
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None


def takes_list(kind: Any) -> bool:
    """Whether a value of an annotated type is a list, or may be one."""
    if get_origin(kind) in (list, dict):
        return get_origin(kind) is list
    return any(map(takes_list, get_args(kind)))


def settings_in(
    section: type[Section], path: str = ""
) -> Iterator[tuple[str, Any, Setting | None]]:
    """Dotted path, annotated type and annotation of all that a section holds, at any depth.

    The type is without the null of what may be left out.
    """
    for name, field in section.model_fields.items():
        kind: Any = field.annotation
        if field.metadata:
            kind = Annotated[(kind, *field.metadata)]
        elif get_args(kind):  # may be left out
            kind = get_args(kind)[0]
        settings = [a for a in getattr(kind, "__metadata__", ()) if isinstance(a, Setting)]
        inner_path = f"{path}.{name}" if path else name
        yield inner_path, kind, settings[0] if settings else None
        if inner := section_of(kind):
            yield from settings_in(inner, inner_path)


def hashable(value: object, path: str) -> object:
    """The value of the field at a dotted path as one that can be looked up: equal where they are.

    Names of one thing are equal, too.
    """
    if isinstance(value, Section):
        inner = tuple(hashable(inner, key) for key, inner in vars(value).items())
        return type(value).__name__, *inner
    if isinstance(value, list):
        return tuple(hashable(inner, path) for inner in value)
    return first_names(value, path)


def as_written(value: object) -> Any:
    """The value of a field as a config writes it, without what was left out or null."""
    if isinstance(value, list):
        return [as_written(part) for part in value]
    if isinstance(value, Section):
        return value.model_dump(exclude_unset=True, exclude_none=True)
    return value
