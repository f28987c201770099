import pytest

from heinit_sim.experiment.activation_table import ALIASES, TABLE
from heinit_sim.experiment.initializers import SCHEMES
from heinit_sim.experiment.spelling import correction

ACTIVATIONS = [*TABLE, *ALIASES]


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        *{"rellu": "relu", "rulu": "relu", "ReLU": "relu", "rleu": "relu"}.items(),
        *{"LeakyReLU": "leaky_relu", "leky-rellu": "leaky_relu", "hardtanh": "hard_tanh"}.items(),
        *{"tahn": "tanh", "sigmod": "sigmoid", "swosh": "swish", "gel": "gelu"}.items(),
    ],
)
def test_a_misspelt_activation_is_put_right(word: str, meant: str) -> None:
    assert correction(word, ACTIVATIONS) == meant


@pytest.mark.parametrize(
    "word",
    [
        *("crelu", "celu", "hardswish", "swiglu", "relu1", "relu2", "softmax", "snake", "maxout"),
        *("tanhshrink", "log_sigmoid", "hard_sigmoid", "quick_gelu", "elo", "", "r", "e"),
    ],
)
def test_another_activation_is_no_misspelling(word: str) -> None:
    assert correction(word, ACTIVATIONS) is None


def test_schemes_are_told_apart() -> None:
    for word in ("truncated_normal", "xavier", "normal", "uniform", "ones", "lecun", "he"):
        assert correction(word, SCHEMES) is None
    assert correction("he_norml", SCHEMES) == "he_normal"
    assert correction("xaiver_uniform", SCHEMES) == "xavier_uniform"
    assert correction("ortogonl", SCHEMES) == "orthogonal"


@pytest.mark.parametrize("known", [ACTIVATIONS, list(SCHEMES)])
def test_every_word_is_its_own_correction_and_two_as_near_are_none(known: list[str]) -> None:
    assert all(correction(word, known) == word for word in known)
    assert correction("abce", ["abcd", "abcf"]) is None


def test_options_and_names_with_numbers() -> None:
    assert correction("--resume", ["--set", "--seed"]) is None
    assert correction("--trails", ["--trials", "--set"]) == "--trials"
    assert correction("figure-7-4", ["figure_7_4", "figure_7_4_published"]) == "figure_7_4"
    assert correction("figure_7_5", ["figure_7_4"]) is None
