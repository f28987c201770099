"""The steps that a layer is made of, one model for each word, and the stages that repeat them."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, NamedTuple

from pydantic import (
    AfterValidator,
    Discriminator,
    Tag,
    TypeAdapter,
    model_serializer,
    model_validator,
)
from pydantic_core import core_schema

from heinit_sim.config.schema import fields
from heinit_sim.config.schema.activation import FORMS, Activation
from heinit_sim.config.schema.annotations import (
    Limits,
    Schema,
    Section,
    Setting,
    relation,
    section_of,
    settings_in,
)
from heinit_sim.config.schema.init import KEYS, LayerOptions

StepInit = Annotated[
    LayerOptions, Setting("Init of these weights", f"a mapping with the keys {KEYS}")
]


def _of_one_slope(activation: Activation | None) -> Activation | None:
    if activation is not None and isinstance(activation.negative_slope, list):
        raise relation("a step has one slope, must be a number", "negative_slope")
    return activation


StepActivation = Annotated[
    Activation, AfterValidator(_of_one_slope), Setting("Activation, if not the network's", FORMS)
]


class Options(Section, defer_build=True):
    """Base of the options of a step: all of them may be left out."""

    @model_validator(mode="before")
    @classmethod
    def _from_nothing(cls, value: object) -> object:
        return {} if value is None else value


class Weights(Options):
    """f = β + Ω z."""

    expand: fields.Expand | None = None
    init: StepInit | None = None
    kernel: fields.StepKernel | None = None
    stride: fields.Stride | None = None
    groups: fields.Groups | None = None


class Norm(Options):
    """Numbers over their size."""

    kind: fields.Norm = "layer"


class Gate(Options):
    """a[Ω_g z] ⊙ Ω_v z."""

    activation: StepActivation | None = None
    expand: fields.Expand | None = None


class Dropout(Options):
    """Each number is 0 with probability `rate`, else divided by 1 − rate."""

    rate: fields.Rate = 0.5


class Attention(Options):
    """Self-attention between the tokens of a sequence."""

    heads: fields.Heads = 1
    causal: fields.Causal = False


class Add(Options):
    """α · (what entered since the last `add`, or the block) + s · z."""

    scale: fields.AddScale = 1.0
    skip: fields.AddSkip = 1.0


# Word -> its options, and what it does.
STEPS: Mapping[str, tuple[Any, str]] = {
    "weights": (Weights, "Weights and biases, β + Ω z"),
    "activation": (StepActivation, "Activation, the network's or another"),
    "norm": (Norm, "Normalisation, without gain and bias"),
    "gate": (Gate, "Two layers of weights, of which an activation of one gates the other"),
    "dropout": (Dropout, "Zeros at random places; all others are divided by 1 − rate"),
    "attention": (Attention, "Attention of each token of a sequence to all"),
    "add": (Add, "Sum α · (what entered since the last add, or the block) + s · z"),
}
WEIGHTED = ("weights", "gate", "attention")
"""Words of the steps that have weights."""
WORDS = ", ".join(STEPS)
STEP = f"one of {WORDS}, or a mapping of one of them to its options"
_MOST = 100
STEP_LIST = f"a list of 1 to {_MOST} steps, each {STEP}"
STAGES = "a list of stages, each a mapping like {repeat: 3, block: [activation, weights, add]}"


class Step(Section, defer_build=True):
    """One step of a layer."""

    word: str
    options: Any
    """Model of its options; None for the network's own activation."""

    @model_serializer
    def _written(self) -> str | dict[str, object]:
        if self.options is None:
            return self.word
        if isinstance(self.options, Activation):
            return {self.word: self.options.model_dump()}
        given = self.options.model_dump(exclude_none=True, exclude_defaults=True)
        return {self.word: given} if given else self.word


def _word_of(value: object) -> str | None:
    if isinstance(value, Step):
        return value.word
    if isinstance(value, dict) and len(value) == 1:
        value = next(iter(value))
    return value if isinstance(value, str) and value in STEPS else None


class _Form(NamedTuple):
    """Annotation of the options of a step: they stand behind its word, which may stand alone."""

    word: str

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        options = core_schema.nullable_schema(handler(source))
        unwrapped = core_schema.no_info_before_validator_function(self._unwrapped, options)
        return core_schema.no_info_after_validator_function(self._step, unwrapped)

    def __get_pydantic_json_schema__(self, core: Any, handler: Callable[[Any], Schema]) -> Schema:
        inner = handler(core)
        mapping = {"type": "object", "properties": {self.word: inner}}
        closed = {"required": [self.word], "additionalProperties": False}
        meaning = {"description": f"{STEPS[self.word][1]}."}
        return {"anyOf": [{"type": "string", "const": self.word}, {**mapping, **closed}], **meaning}

    def _unwrapped(self, value: Any) -> object:
        if isinstance(value, Step):
            return value.options
        given = None if isinstance(value, str) else value[self.word]
        return {} if given is None and self.word != "activation" else given

    def _step(self, options: object) -> Step:
        return Step.model_construct(word=self.word, options=options)


@functools.cache
def _kind_of_steps() -> Any:
    """The annotated type of a list of steps."""
    members: Any = [Annotated[model, _Form(word), Tag(word)] for word, (model, _) in STEPS.items()]
    steps: Any = functools.reduce(operator.or_, members)
    which = Discriminator(
        _word_of, custom_error_type="unknown_step", custom_error_message="no step"
    )
    return Annotated[
        list[Annotated[steps, which]], Limits(STEP_LIST, min_length=1, max_length=_MOST)
    ]


class StepsOf(NamedTuple):
    """Annotation of a list of steps, or maybe of stages: built when there first is one."""

    stages: bool = False

    def check(self, given: Any) -> Any:
        """The validated list; pydantic places the errors inside."""
        return _adapter(self.stages and _has_stages(given)).validate_python(given)

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        return core_schema.no_info_plain_validator_function(self.check)

    def __get_pydantic_json_schema__(self, core: Any, handler: Callable[[Any], Schema]) -> Schema:
        kinds = [False, True] if self.stages else [False]
        schemas = [handler(_adapter(stages).core_schema) for stages in kinds]
        return {"anyOf": schemas} if self.stages else schemas[0]


def _has_stages(given: object) -> bool:
    return isinstance(given, list) and any(
        isinstance(item, Stage) or (isinstance(item, dict) and {"repeat", "block"} & item.keys())
        for item in given
    )


StepList = Annotated[list[Any], StepsOf(), Setting("Steps of a block of the stage", STEP_LIST)]


class Stage(Section, defer_build=True):
    """Blocks that are alike."""

    repeat: fields.Repeat = 1
    block: StepList


@functools.cache
def _adapter(stages: bool) -> TypeAdapter[Any]:
    limits = Limits(STAGES, min_length=1, max_length=1000)
    kind: Any = Annotated[list[Stage], limits] if stages else _kind_of_steps()
    return TypeAdapter(kind)


BlockField = Annotated[
    list[Any],
    StepsOf(stages=True),
    Setting("What a hidden layer is made of", f"{STEP_LIST}, or {STAGES}"),
]
StemField = Annotated[list[Any], StepsOf(), Setting("What layer 0 is made of", STEP_LIST)]
HeadField = Annotated[list[Any], StepsOf(), Setting("What layer K is made of", STEP_LIST)]

DEFAULT_BLOCK = ["weights", "activation"]
DEFAULT_ENDS = ["weights"]
DEFAULTS = {"block": DEFAULT_BLOCK, "head": DEFAULT_ENDS}
"""Key of `network` -> the steps where it is left out."""


def is_row(given: object) -> bool:
    """Whether a value is a list of steps or of stages."""
    return isinstance(given, list) and all(isinstance(part, Step | Stage) for part in given)


@functools.cache
def default_steps(*words: str) -> list[Step]:
    """Steps without options."""
    options = {word: STEPS[word][0].model_construct() for word in words if word != "activation"}
    return [Step.model_construct(word=word, options=options.get(word)) for word in words]


PLACES = ("network.block.#", "network.block.#.block.#", "network.stem.#", "network.head.#")
"""Dotted paths of single steps, # for a place in a list."""


def step_settings() -> Iterator[tuple[str, Any, Setting]]:
    """Dotted path, annotated type and annotation of all options of steps, and of stages."""
    yield from _known(settings_in(Stage, "network.block.#"))
    for place in PLACES:
        for word, (model, meaning) in STEPS.items():
            path = f"{place}.{word}"
            inner = section_of(model) or Options
            keys = ", ".join(inner.model_fields)
            allowed = FORMS if inner is Activation else f"a mapping with the keys {keys}"
            setting = Setting(meaning, allowed)
            yield path, Annotated[model, setting], setting
            yield from _known(settings_in(inner, path))


def _known(
    found: Iterator[tuple[str, Any, Setting | None]],
) -> Iterator[tuple[str, Any, Setting]]:
    return ((path, kind, setting) for path, kind, setting in found if setting is not None)
