"""The limits of settings: what messages state is what is enforced, to the last float."""

import math
import re
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import ValidationError, create_model

from heinit_sim.config.schema.annotations import Section, Setting, number, settings_in
from heinit_sim.config.schema.config import Config

NUMBER = r"(-?\d+(?:\.\d+)?(?:e-?\d+)?)"
STATED = re.compile(
    rf"(?P<kind>integers?|numbers?) (?:from {NUMBER} to {NUMBER}"
    rf"|above {NUMBER} and at most {NUMBER}|above {NUMBER}"
    rf"|(?:of at least|that is not below) {NUMBER})"
)
SETTINGS = {path: (kind, setting) for path, kind, setting in settings_in(Config) if setting}
BOUNDED = {path: stated for path, (_, s) in SETTINGS.items() if (stated := STATED.search(str(s)))}


def accepts(path: str, value: float | str) -> bool:
    """Whether a setting takes a value, alone or twice in a list."""
    model: Any = create_model("One", __base__=Section, value=(SETTINGS[path][0], ...))
    for given in (value, [value, value]):
        try:
            model.model_validate({"value": given})
        except ValidationError:
            continue
        return True
    return False


def choices(kind: Any) -> tuple[str, ...]:
    """Words that a type allows, alone or beside others."""
    if get_origin(kind) is Literal:
        return get_args(kind)
    return tuple(word for part in get_args(kind) for word in choices(part))


CHOICES = {path: words for path, (kind, _) in SETTINGS.items() if (words := choices(kind))}


def numeric(kind: Any) -> bool:
    """Whether a type is of numbers, or of lists of them, maybe beside a word."""
    while get_args(kind):
        kind = get_args(kind)[0]
    return kind in (int, float)


def test_every_number_states_its_bounds_but_the_target_and_swept_values() -> None:
    assert {path for path, (kind, _) in SETTINGS.items() if numeric(kind)} == {
        *BOUNDED,
        "loss.target",
        "stream_version",  # one number alone
        "figure.order",  # whose values are those of the sweep
    }


@pytest.mark.parametrize("path", BOUNDED)
def test_stated_bounds_are_accepted_and_what_is_next_beyond_them_is_not(path: str) -> None:
    stated = BOUNDED[path]
    parse = int if stated["kind"].startswith("integer") else float
    low, *rest = (parse(text) for text in stated.groups()[1:] if text)

    def beyond(bound: float, towards: float) -> float:
        return (
            bound + int(math.copysign(1, towards))
            if parse is int
            else math.nextafter(bound, towards)
        )

    if " above " in stated[0]:
        assert not accepts(path, low)
        low = beyond(low, math.inf)
    assert accepts(path, low)
    assert not accepts(path, beyond(low, -math.inf))
    for high in rest:
        assert accepts(path, high)
        assert not accepts(path, beyond(high, math.inf))


@pytest.mark.parametrize("path", CHOICES)
def test_stated_choices_are_accepted_and_what_is_next_to_them_is_not(path: str) -> None:
    stated = re.split(r"[ ,;]+", str(SETTINGS[path][1]))
    for word in CHOICES[path]:
        assert word in stated or repr(word) in str(SETTINGS[path][1])
        assert accepts(path, word)
        assert not accepts(path, word.capitalize() if word[0].isalpha() else f"{word}x")


def test_bounds_that_are_lost_on_the_way_are_seen() -> None:
    """Bounds in words alone, as a change of `Setting` could leave them, refuse nothing."""
    SETTINGS["x"] = float, Setting("x", str(number(ge=1e-6, le=1)))
    BOUNDED["x"] = STATED.search(str(SETTINGS["x"][1]))  # type: ignore[assignment]  # matches
    try:
        with pytest.raises(AssertionError):
            test_stated_bounds_are_accepted_and_what_is_next_beyond_them_is_not("x")
    finally:
        del SETTINGS["x"], BOUNDED["x"]
