import math

import pytest

from heinit_sim.config.yaml_document import plain_scalar


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("True", True),
        ("false", False),
        ("0", 0),
        ("-12", -12),
        ("1e-3", 1e-3),
        (".5", 0.5),
        ("1.", 1.0),
        ("-.inf", -math.inf),
    ],
)
def test_words_and_decimal_numbers_are_values(text: str, value: object) -> None:
    found = plain_scalar(text)
    assert found == value
    assert type(found) is type(value)


def test_nan_is_a_number() -> None:
    found = plain_scalar(".nan")
    assert isinstance(found, float)
    assert math.isnan(found)


@pytest.mark.parametrize(
    "text", ["yes", "on", "012", "0x1F", "0o7", "1_000", "1:30", "1e999", "1e-999"]
)
def test_what_is_a_number_elsewhere_or_no_float_holds_stays_text(text: str) -> None:
    assert plain_scalar(text) == text
