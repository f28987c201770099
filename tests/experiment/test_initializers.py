import math

import pytest

from heinit_sim.experiment.initializers import SCHEMES, TRUNCATED_STD, Mode, weight_variance


@pytest.mark.parametrize(
    ("scale", "mode", "expected"),
    [
        (2.0, "fan_in", 0.02),
        (2.0, "fan_out", 0.04),
        (1.0, "fan_avg", 1 / 75),
        (1.0, "fan_geo_avg", 1 / math.sqrt(5000)),
    ],
)
def test_variance_is_scale_over_fan(scale: float, mode: Mode, expected: float) -> None:
    assert weight_variance(scale, mode, fan_in=100, fan_out=50) == expected


# Variance of the weights of a layer 30 -> 10, as papers and the documentation of the libraries
# give it.
EXPECTED = {
    **dict.fromkeys(("he_normal", "kaiming_normal", "he_uniform", "kaiming_uniform"), 2 / 30),
    **dict.fromkeys(("xavier_normal", "glorot_normal", "xavier_uniform"), 2 / (30 + 10)),
    **dict.fromkeys(("glorot_uniform", "keras_default"), 2 / (30 + 10)),
    **dict.fromkeys(("lecun_normal", "lecun_uniform", "jax_default"), 1 / 30),
    "variance_scaling": 1 / 30,
    "torch_linear_default": 1 / (3 * 30),  # U(±1/√fan_in)
    **dict.fromkeys(("zeros", "constant"), 0.0),
    "identity": 1 / 30,  # ten ones of 300 entries
    "sparse": 1e-4,  # 0.01², of weights that are not 0
    "siren": 2 / 30,  # behind layer 0, for a sine of frequency 1
    "lsuv": 1 / 30,  # what it starts from
    "delta_orthogonal": 1 / 30,  # with one tap the same
    "orthogonal": 1 / 30,  # ten orthonormal rows of 30: each entry squared is 1/30 on average
}


@pytest.mark.parametrize("name", SCHEMES)
def test_schemes_are_those_of_papers_and_libraries(name: str) -> None:
    scheme = SCHEMES[name]
    found = weight_variance(scheme.scale, scheme.mode, 30, 10, scheme.distribution)
    assert math.isclose(found, EXPECTED[name], rel_tol=1e-15)
    uniform = name.endswith("_uniform") or name in (
        "torch_linear_default",
        "keras_default",
        "siren",
    )
    assert (scheme.distribution == "uniform") == uniform


def test_orthogonal_weights_have_the_larger_fan_and_the_squared_gain() -> None:
    for fans in ((30, 10), (10, 30)):
        assert weight_variance(4.0, "fan_in", *fans, "orthogonal") == 4 / 30


def test_orthogonal_kernels_divide_by_rows_and_columns_of_what_is_orthogonal() -> None:
    """Convolutions of 3 × 3 taps: fans are nine times the channels."""
    for c_in, c_out in ((4, 12), (4, 50), (12, 4)):
        fans = (9 * c_in, 9 * c_out)
        flat = weight_variance(4.0, "fan_in", *fans, "orthogonal", 9)
        assert flat == 4 / max(c_out, 9 * c_in)
        # An orthogonal centre has mean square 1/max(c_in, c_out), the other eight taps none.
        delta = weight_variance(4.0, "fan_in", *fans, "delta_orthogonal", 9)
        assert math.isclose(delta, 4 / max(c_in, c_out) / 9, rel_tol=1e-15)


def test_an_uncorrected_truncation_loses_variance() -> None:
    kept = weight_variance(2.0, "fan_in", 50, 50, "truncated_normal_uncorrected") / (2 / 50)
    density, mass = math.exp(-2) / math.sqrt(2 * math.pi), math.erf(math.sqrt(2))
    assert math.isclose(kept, 1 - 4 * density / mass, rel_tol=1e-14)  # Var(z | |z| < 2)
    assert math.isclose(kept, TRUNCATED_STD**2)
    assert round(kept, 4) == 0.7737
