import pytest

from heinit_sim.initializers import SCHEMES, Mode, weight_variance


@pytest.mark.parametrize(
    ("scale", "mode", "expected"),
    [(2.0, "fan_in", 0.02), (2.0, "fan_out", 0.04), (1.0, "fan_avg", 1 / 75)],
)
def test_variance_is_scale_over_fan(scale: float, mode: Mode, expected: float) -> None:
    assert weight_variance(scale, mode, fan_in=100, fan_out=50) == expected


def test_schemes_are_those_of_the_papers() -> None:
    he, xavier, lecun = (
        weight_variance(*SCHEMES[f"{name}_normal"], fan_in=30, fan_out=10)
        for name in ("he", "xavier", "lecun")
    )
    assert (he, xavier, lecun) == (2 / 30, 2 / (30 + 10), 1 / 30)
