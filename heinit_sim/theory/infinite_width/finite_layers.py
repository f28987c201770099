"""How far layers of finite width are from the recursion of infinitely wide ones.

q_{k+1} = F(q_k) + noise in each network, F(q) = D σ²_Ω E[a(√q z)²] + σ²_b, for D units that differ.
To first order in 1/D, with F and its derivative at the q_k of infinite width,

    V_{k+1} = s² V_k + w² (E[a⁴]/E[a²]² − 1)/D              variance over networks of ln q
    B_{k+1} = s B_k + E[F(y q_k)]/F(q_k) − 1                relative bias of the mean of q

s = q F'/F, w the weights' share of F, y log-normal of mean 1 and variance V_k of ln y. Where F is
linear in q, as of a positively homogeneous activation, B is 0: the mean is that of infinite width
however far networks stray. Others bend what strays, the more the larger s is: units that a bias all
but turns off.
"""

import numpy as np

from heinit_sim.activations import network_activation
from heinit_sim.experiment.sweep_config import Condition
from heinit_sim.numerics import FloatArray
from heinit_sim.theory.infinite_width import quadrature

_STEP = 0.05  # of ln q, for a derivative
# Three points of a normal law, right for polynomials up to the fifth power.
_POINTS, _WEIGHTS = np.sqrt(3) * np.array([-1.0, 0.0, 1.0]), np.array([1.0, 4.0, 1.0]) / 6


@np.errstate(all="ignore")  # of layers that are all off, or beyond float range
def relative_biases(condition: Condition, ln_q: FloatArray) -> FloatArray:
    """B_k of the layers 0 … K of a fully connected network; NaN where it has no digits.

    Args:
        condition: The network.
        ln_q: ln of the variances of f_0 … f_{K−1} about the means of the biases.
    """
    activation, specs = network_activation(condition), condition.specs
    bias = np.float64(0.0)
    variance = bias + 3 * (1 / _kept(condition, 0) - 1) / condition.widths[0]
    biases = [bias]
    for k, width in enumerate(condition.widths[1:-1]):
        following = specs[k + 1]
        about = quadrature.about(activation.layer(k), specs[k].bias_mean)
        y = np.exp(_POINTS * np.sqrt(variance))
        y /= _WEIGHTS @ y
        q = np.exp(ln_q[k]) * np.concatenate([np.exp([-_STEP, 0.0, _STEP]), y])
        second, fourth, _ = quadrature.even_moments(about, q)
        image = width * following.weight_variance * second + following.bias_variance
        slope = np.log(image[2] / image[0]) / (2 * _STEP)
        share = 1 - following.bias_variance / image[1]
        bias = slope * bias + _WEIGHTS @ image[3:] / image[1] - 1
        seen = fourth[1] / _kept(condition, k + 1)
        variance = slope**2 * variance + share**2 * (seen - 1) / width
        biases.append(bias)
    return np.array(biases)


def _kept(condition: Condition, k: int) -> float:
    """Share of the weights of layer k that are not 0: so many less of h_k does a unit see."""
    spec = condition.specs[k]
    return 1 - (spec.weight_option or 0.0) if spec.weight_distribution == "sparse" else 1.0
