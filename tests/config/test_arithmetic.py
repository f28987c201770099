"""Numbers written as arithmetic."""

import math

import pytest

from heinit_sim.config import arithmetic
from heinit_sim.config.arithmetic import NotArithmeticError, is_arithmetic, names_in, value_of

NUMBERS = {"depth": 24.0, "width": 200.0, "fan_in": 800.0}
VALUES = {
    "2/64": 2 / 64,
    "1/sqrt(2*depth)": 1 / math.sqrt(48),
    "(8*depth)**(-1/4)": 192**-0.25,
    "-depth**2": -576.0,
    "2**3**2": 512.0,
    "2 - 3 - 4": -5.0,
    "2 / 4 / 8": 2 / 4 / 8,
    "1 + 2*3": 7.0,
    "(1 + 2)*3": 9.0,
    "-(-3)": 3.0,
    "+depth": 24.0,
    "1e-3*width": 1e-3 * 200,
    "1E+2*.5": 50.0,
    "2./fan_in": 2 / 800,
    "sqrt(sqrt(16))": 2.0,
    " 1 / 8 ": 0.125,
    "9/3": 3.0,
    "0*depth": 0.0,
}


@pytest.mark.parametrize(("text", "value"), VALUES.items())
def test_the_value_is_that_of_the_formula(text: str, value: float) -> None:
    assert value_of(text, NUMBERS) == pytest.approx(value, rel=1e-15, abs=0)
    assert is_arithmetic(text)


def test_integers_are_numbers_like_any_other() -> None:
    assert value_of("1/2", {}) == 0.5
    assert type(value_of("4/2", {})) is float


@pytest.mark.parametrize(
    ("text", "names"),
    [("2/64", set()), ("1/sqrt(2*depth)", {"depth"}), ("width/fan_in", {"width", "fan_in"})],
)
def test_the_names_are_those_of_numbers(text: str, names: set[str]) -> None:
    assert names_in(text) == names


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1/0", "a division by zero ('1/0')"),
        ("1/(depth - 24)", "a division by zero ('1/(depth - 24)')"),
        ("0**-1", "a division by zero ('0**-1')"),
        ("9**9**9", "beyond the range of a float ('9**9**9')"),
        ("1e308*10", "beyond the range of a float ('1e308*10')"),
        ("1e999 - 1e999", "beyond the range of a float ('1e999 - 1e999')"),
        ("sqrt(-depth)", "a root of a negative number ('sqrt(-depth)')"),
        ("(-2)**0.5", "a root of a negative number ('(-2)**0.5')"),
        ("sqrt(-1)*sqrt(1e999)", "a root of a negative number ('sqrt(-1)*sqrt(1e999)')"),
        ("2^3", "'^' is no arithmetic ('2^3'); a power is written **"),
        ("1/√2", "'√' is no arithmetic ('1/√2')"),
        ("2 // 3", "not well-formed arithmetic ('2 // 3')"),
        ("2/", "not well-formed arithmetic ('2/')"),
        ("(2", "not well-formed arithmetic ('(2')"),
        ("2 3/4", "not well-formed arithmetic ('2 3/4')"),
        ("2depth", "not well-formed arithmetic ('2depth')"),
        ("01/2", "not well-formed arithmetic ('01/2')"),
        ("sqrt", "unknown name (sqrt), must be one of depth, width, fan_in, sqrt()"),
        ("sqrt()", "not well-formed arithmetic ('sqrt()')"),
        ("sqrt 2", "not well-formed arithmetic ('sqrt 2')"),
        ("depth(2)", "not well-formed arithmetic ('depth(2)')"),
        ("(1/2)(3)", "not well-formed arithmetic ('(1/2)(3)')"),
        ("depht/2", "unknown name (depht), must be one of depth, width, fan_in, sqrt()"),
        ("K/2", "unknown name (K), must be one of depth, width, fan_in, sqrt()"),
        ("not depth", "not well-formed arithmetic ('not depth')"),
        ("True/2", "not well-formed arithmetic ('True/2')"),
        ("1j*2", "not well-formed arithmetic ('1j*2')"),
        ("__import__('os')", '"\'" is no arithmetic'),
        ("exit()", "not well-formed arithmetic ('exit()')"),
        ("(lambda: 1)/2", "':' is no arithmetic"),
        ("(" * 190 + "1" + ")" * 9, "not well-formed arithmetic ('((((("),
        ("1+" * 200 + "1", "too long ('1+1+1"),
        ("1\n+2\n3", "not well-formed arithmetic ('1\\n+2\\n3')"),
        ("\0*2", "'\\x00' is no arithmetic"),
    ],
)
def test_what_is_no_number_says_why_on_one_line(text: str, message: str) -> None:
    with pytest.raises(NotArithmeticError) as error:
        value_of(text, NUMBERS)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_a_misspelt_name_is_suggested() -> None:
    with pytest.raises(NotArithmeticError, match="did you mean 'depth'"):
        names_in("depht/2")


@pytest.mark.parametrize(
    "text", ["1/2", "depth", "-depth", "2*3", "sqrt(2)", "1 - 2", "2^3", "dpth"]
)
def test_a_text_with_a_name_or_an_operation_is_meant_as_arithmetic(text: str) -> None:
    assert is_arithmetic(text)


@pytest.mark.parametrize(
    "value",
    ["0.02", "1e-400", "-1", "+2.5", "1E+9", "0x10", "1_000", "1:30", "01", "", 0.5, 1, None],
)
def test_a_number_in_quotes_or_of_another_form_is_not(value: object) -> None:
    assert not is_arithmetic(value)


def test_no_name_is_a_word_of_python() -> None:
    assert all(name.isidentifier() for name in arithmetic.NAMES)
