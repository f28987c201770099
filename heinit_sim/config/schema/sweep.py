"""The sections `sweep` and `expect`: values by dotted path, of the types that the sections have."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from types import GenericAlias
from typing import Annotated, Any, NamedTuple

from pydantic import (
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    create_model,
    field_validator,
    model_validator,
)
from pydantic_core import core_schema

from heinit_sim.config.problem import general
from heinit_sim.config.schema import fields
from heinit_sim.config.schema.annotations import (
    ONE_OR_LIST,
    Limits,
    Schema,
    Section,
    Setting,
    hashable,
    relation,
    settings_in,
    takes_list,
)
from heinit_sim.config.schema.init import InitField
from heinit_sim.config.schema.inputs import Inputs, Loss
from heinit_sim.config.schema.network import Network
from heinit_sim.config.schema.steps import step_settings
from heinit_sim.config.schema.update import Update


class _Recorded(Section, defer_build=True):
    """The sections inside `record` whose settings can be swept."""

    update: Update


class _Conditions(Section, defer_build=True):
    """The sections whose settings can be swept."""

    network: Network
    init: InitField
    inputs: Inputs
    loss: Loss
    record: _Recorded


@functools.cache
def swept_settings() -> Mapping[str, tuple[Any, Setting]]:
    """Dotted path of every setting that can be swept -> its annotated type and annotation."""
    known = settings_in(_Conditions)
    return {path: (kind, setting) for path, kind, setting in known if setting and setting.swept}


@functools.cache
def swept_steps() -> Mapping[str, tuple[Any, Setting]]:
    """Dotted path of every option of a step, # for a place in a list -> as `swept_settings`."""
    return {path: (kind, setting) for path, kind, setting in step_settings()}


def swept_setting(path: str) -> tuple[Any, Setting] | None:
    """The annotated type and annotation of the setting at a dotted path, if it can be swept."""
    found = swept_settings().get(path)
    return swept_steps().get(general(path)) if found is None else found


class _Values(Section):
    """Values to try, by dotted path; several paths make a grid, the last varying fastest."""

    @field_validator("*")
    @classmethod
    def _check_apart(cls, values: list[object], info: ValidationInfo) -> list[object]:
        seen: dict[object, int] = {}
        for index, value in enumerate(values):
            first = seen.setdefault(hashable(value, str(info.field_name)), index)
            if first != index:
                raise relation(f"the same as value {first + 1}, must be distinct", index)
        for outer in info.data:
            if str(info.field_name).startswith(f"{outer}."):
                raise relation(f"inside {outer}, which is swept too, must be swept alone")
        return values


class _Selection(Section):
    """Values by dotted path that select conditions, one or several of each path."""


def _holds_list(given: object) -> bool:
    return isinstance(given, list) and any(isinstance(value, list) for value in given)


NESTED_LIST = Discriminator(lambda given: "<list>" if _holds_list(given) else "<one>")
"""Several values where one may be a list itself; any other list is checked as one value would be,
and may be several too, for the items of both are of one type."""
VALUES = Limits("a list of one or more distinct values", min_length=1)


@functools.cache
def _model(base: type[Section], paths: tuple[str, ...]) -> type[Section]:
    """The base with those paths: lists of values to try, or one or more values to select by."""
    types: dict[str, Any] = {}
    for path in paths:
        known = swept_setting(path)
        assert known is not None  # `ByPath.check` asks
        kind, setting = known
        if base is _Values:
            kind, setting = GenericAlias(list, (kind,)), Setting(f"Values of {path} to try", VALUES)
        else:
            setting = Setting(f"Value of {path}, or a list of values", setting)
            which = NESTED_LIST if takes_list(kind) else ONE_OR_LIST
            several: Any = GenericAlias(list, (kind,))
            several = Annotated[several, Limits("", min_length=1), Tag("<list>")]
            kind = Annotated[Annotated[kind, Tag("<one>")] | several, which]
        # Pydantic needs 5 ms to find out which arguments `list` takes.
        empty: Any = Field(default_factory=lambda: [])  # noqa: PIE807  # see above
        types[path] = Annotated[kind, setting], empty
    name = "Sweep" if base is _Values else "When"
    return create_model(name, __base__=base, __doc__=base.__doc__, **types)


_STEP_PATH = r"^network\.(block|stem|head)\.[0-9]+\."


class ByPath(NamedTuple):
    """Annotation of a mapping by dotted path: each value must fit the setting there.

    The model is made of the paths that are given: one of all takes longer than to read a config.
    """

    base: type[Section]

    def check(self, given: Any) -> dict[str, object]:
        """The validated values in the order of the settings; pydantic places the errors inside."""
        known = given if isinstance(given, dict) else {}
        paths = [path for path in swept_settings() if path in known]
        paths += [path for path in known if path not in paths and swept_setting(str(path))]
        model = _model(self.base, tuple(paths))
        return dict(vars(model.model_validate(given)))

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        return core_schema.no_info_plain_validator_function(self.check)

    def __get_pydantic_json_schema__(self, core: Any, handler: Callable[[Any], Schema]) -> Schema:
        schema = handler(_model(self.base, tuple(swept_settings())).__pydantic_core_schema__)
        properties = handler.resolve_ref_schema(schema)  # type: ignore[attr-defined]  # pydantic's own
        properties["patternProperties"] = {_STEP_PATH: {}}
        return schema


Sweep = Annotated[
    dict[str, list[Any]],
    ByPath(_Values),
    Setting("What varies", "a mapping from dotted paths to lists of values"),
]
When = Annotated[
    dict[str, Any],
    ByPath(_Selection),
    Setting("Which conditions, or all of them", "a mapping from dotted paths to values"),
]


class WidthSlope(Section):
    """A quantity that should be as large in networks of any width."""

    quantity: fields.SlopingQuantity
    within: fields.Within
    layer: fields.SlopingLayers | None = None


class Expectation(Section):
    """An expectation: what must come out, and in which conditions."""

    forward: fields.ForwardWord | None = None
    backward: fields.BackwardWord | None = None
    max_decades_per_layer: fields.DecadesPerLayer | None = None
    width_slope: WidthSlope | None = Field(default=None, description="How sizes go with the width.")
    when: When = Field(default={})

    @model_validator(mode="after")
    def _check_any(self) -> Expectation:
        given = self.forward, self.backward, self.max_decades_per_layer, self.width_slope
        if all(value is None for value in given):
            keys = "forward, backward, max_decades_per_layer or width_slope"
            raise relation(f"nothing is expected, must have {keys}")
        return self


MAX_EXPECTATIONS = 1000
Expect = Annotated[
    Annotated[Expectation, Tag("<one>")]
    | Annotated[
        list[Expectation],
        Tag("<list>"),
        Limits("a list of expectations", max_length=MAX_EXPECTATIONS),
    ],
    ONE_OR_LIST,
    Setting(
        "What must come out",
        "a mapping like {forward: stable, when: {init.variance: 0.02}}, "
        f"or a list of at most {MAX_EXPECTATIONS}",
    ),
]
