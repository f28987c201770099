"""Whether what was measured is what theory predicts, at a false-alarm rate that is what it says.

Never by the mean of a deep layer, which rare networks carry: by what single layers do, whose law
is known exactly (`steps`), pooled over layers and networks, and layer by layer.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from heinit_sim.activations import make_activation
from heinit_sim.predictions import homogeneous_slope
from heinit_sim.records import INPUT_0, Condition, ConditionResult, Finding, SweepResult
from heinit_sim.steps import Steps, iter_steps

Array = NDArray[np.float64]

# ‖∂ℓ/∂Ω_k‖ = ‖∂ℓ/∂f_k‖ ‖h_k‖ but for the rounding of log10 values of up to 10^5, and of the sums
# behind them.
_PRODUCT_DECADES = 1e-9


class Score(NamedTuple):
    """Some ratios held against their law."""

    relative: float
    """Their mean over what it should be; its standard error follows."""
    error: float
    z: float
    """The deviation as a standard normal score."""
    n_layers: int

    @property
    def p(self) -> float:
        """Probability that correct code deviates as much, to either side."""
        return math.erfc(abs(self.z) / math.sqrt(2.0))


def check(result: SweepResult, alpha: float = 1e-3) -> list[Finding]:
    """Hold the networks of every condition against the laws of single layers.

    Args:
        result: A simulated sweep.
        alpha: Family-wise level: the probability that a correct simulation shows any alarm, over
            all conditions, quantities and layers together (Bonferroni).

    Returns:
        One finding per condition and quantity, with what was measured over what theory says.
    """
    tested = [(of.condition, steps) for of in result.conditions for steps in _steps(of)]
    findings = [_finding(*one, alpha / len(tested)) for one in tested]
    return findings + [_product(of) for of in result.conditions]


def score(steps: Steps) -> Score | None:
    """Pool all ratios, or None where there are too few."""
    mean = np.broadcast_to(steps.mean, steps.ratio.shape)
    valid = np.isfinite(steps.ratio)
    deviation = np.where(valid, steps.ratio - mean, 0.0)
    expected = float(mean[valid].sum())
    if steps.variance is None or steps.third is None:
        return _student(deviation, valid, expected)
    variance = np.broadcast_to(steps.variance, steps.ratio.shape)
    valid &= variance > 0
    count = int(valid.sum())
    if count == 0:
        return None
    std = np.sqrt(variance[valid])
    third = np.broadcast_to(steps.third, steps.ratio.shape)[valid]
    skewness = float((third / std**3).sum()) / count**1.5
    z = float((deviation[valid] / std).sum()) / math.sqrt(count)
    return Score(
        1 + float(deviation[valid].sum()) / expected,
        math.sqrt(float((std**2).sum())) / expected,
        _normal_score(z, skewness),
        count,
    )


def _steps(of: ConditionResult) -> list[Steps]:
    condition = of.condition
    activation = make_activation(condition.activation, condition.activation_options)
    found = iter_steps(of, activation, homogeneous_slope(condition))
    return [steps for steps in found if score(steps) is not None]


def _finding(condition: Condition, steps: Steps, level: float) -> Finding:
    """Half of the level for all layers together, half for the worst of them."""
    pooled = score(steps)
    assert pooled is not None  # `_steps` left out the others
    layers = [(int(k), score(_layer(steps, i))) for i, k in enumerate(steps.layers)]
    scored = [(k, s) for k, s in layers if s is not None]
    held = 2 * pooled.p >= level and all(2 * len(scored) * s.p >= level for _, s in scored)
    worst, most = max(scored, key=lambda one: abs(one[1].z), default=(0, pooled))
    batch = "" if steps.statistic == INPUT_0 else " of the batch"
    reason = f"measured/theory {_text(pooled)} over {pooled.n_layers} layers"
    if not held:
        reason += f"; most at layer {worst}: {_text(most)}"
    return Finding(_name(condition, f"{steps.quantity}{batch}"), held, reason)


def _layer(steps: Steps, i: int) -> Steps:
    """The steps of one layer."""

    def taken(array: Array | None) -> Array | None:
        return None if array is None else array[..., i : i + 1]

    mean = taken(steps.mean)
    assert mean is not None
    return steps._replace(
        layers=steps.layers[i : i + 1],
        ratio=steps.ratio[:, i : i + 1],
        mean=mean,
        variance=taken(steps.variance),
        third=taken(steps.third),
    )


def _text(found: Score) -> str:
    return f"{found.relative:.4f} ± {found.error:.4f} (z = {found.z:+.1f})"


def _product(of: ConditionResult) -> Finding:
    """For one input the weight gradient is the outer product of ∂ℓ/∂f_k and h_k."""
    log10 = {
        quantity: of.networks[quantity, INPUT_0] for quantity, s in of.networks if s == INPUT_0
    }
    with np.errstate(invalid="ignore"):
        gap = log10["grad_weight"] - log10["grad_preactivation"] - log10["activation"]
    worst = float(np.abs(gap[np.isfinite(gap)]).max(initial=0.0))
    reason = f"‖∂ℓ/∂Ω_k‖² = ‖∂ℓ/∂f_k‖² ‖h_k‖² within {worst:.0e} decades"
    return Finding(_name(of.condition, "grad_weight"), worst < _PRODUCT_DECADES, reason)


def _name(condition: Condition, what: str) -> str:
    return f"theory, {condition.label}: {what}" if condition.label else f"theory: {what}"


def _normal_score(z: float, skewness: float) -> float:
    """The standardised sum as a normal score: the cube root of a gamma law of that skewness.

    Source: Wilson & Hilferty 1931.
    """
    if skewness < 1e-9:
        return z
    root = math.cbrt(max(1 + skewness * z / 2, 0.0))
    return 6 / skewness * (root - 1) + skewness / 6


def _student(deviation: Array, valid: NDArray[np.bool_], expected: float) -> Score | None:
    """Where no variance is known: one mean per network, which are independent.

    Source: Wallace 1959 for Student's t as a normal score.
    """
    counts = valid.sum(axis=1)
    means = deviation.sum(axis=1)[counts > 0] / counts[counts > 0]
    freedom = len(means) - 1
    if freedom < 1 or expected <= 0:
        return None
    error = float(means.std(ddof=1)) / math.sqrt(len(means))
    if error == 0.0:
        return None
    t = float(means.mean()) / error
    z = (8 * freedom + 1) / (8 * freedom + 3) * math.sqrt(freedom * math.log1p(t**2 / freedom))
    scale = float(counts.sum()) / expected
    return Score(
        1 + float(means.mean()) * scale, error * scale, math.copysign(z, t), int(counts.sum())
    )
