"""(scale, mode, fans) -> σ²_Ω. One formula; schemes are data."""

from typing import Literal

Mode = Literal["fan_in", "fan_out", "fan_avg"]

# scheme -> (scale, mode); `scale` multiplies the variance, a gain is √scale.
SCHEMES: dict[str, tuple[float, Mode]] = {
    "he_normal": (2.0, "fan_in"),  # He et al. 2015, eq. 10: rectifiers
    "xavier_normal": (1.0, "fan_avg"),  # Glorot & Bengio 2010, eq. 12
    "lecun_normal": (1.0, "fan_in"),  # LeCun et al. 1998, sec. 4.6
}


def weight_variance(scale: float, mode: Mode, fan_in: int, fan_out: int) -> float:
    """σ²_Ω = scale / fan, with fan = fan_in, fan_out or their mean.

    Args:
        scale: Factor of the variance, the square of the gain.
        mode: Which fan the variance is divided by.
        fan_in: D_k, columns of Ω_k.
        fan_out: D_{k+1}, rows of Ω_k.

    Source: He et al. 2015, eq. 10 and 14; Glorot & Bengio 2010, eq. 12.
    """
    fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[mode]
    return scale / fan
