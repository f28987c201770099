"""The size and the singular values of the Jacobian ∂f_K/∂x of a batch's first input."""

from collections.abc import Sequence

import numpy as np

from heinit_sim.experiment.records import Output, output_sizes
from heinit_sim.network import jacobian
from heinit_sim.network.layers import make_layers
from heinit_sim.network.steps.dropout import MasksByPlace
from heinit_sim.network.steps.weights import WeightsByPlace
from heinit_sim.numerics import FloatArray
from heinit_sim.simulation.plan import NetworkPass


def jacobian_outputs(
    passes: Sequence[NetworkPass],
    weights: WeightsByPlace,
    x: FloatArray,
    biases: Sequence[FloatArray] | None,
    masks: MasksByPlace | None,
) -> dict[Output, FloatArray]:
    """The mean square and, unless there are too many, the singular values of each network.

    Args:
        passes: Passes that go side by side.
        weights: Ω/σ by place, as the passes have them.
        x: h_0, (..., D_0, n_inputs).
        biases: β in the order of the weights.
        masks: Uniform numbers of dropouts by place.

    Returns:
        Each (..., how many numbers one network has).
    """
    network_pass, *others = passes
    first = np.ascontiguousarray(x[..., :1])
    of_first = None if masks is None else jacobian.FirstInputMasks(masks)
    beside = [other.layers for other in others]
    layers = make_layers(network_pass.layers, weights, biases, of_first, beside, measured=False)
    n_outputs, most = network_pass.widths[-1], network_pass.gradient_columns
    parts = list(jacobian.iter_transposed(layers, first, n_outputs, most))
    found: dict[Output, FloatArray] = {
        "log10_jacobian_second_moment": jacobian.log10_second_moment(parts)[..., np.newaxis]
    }
    if "log10_singular_values" in output_sizes(network_pass.record, network_pass.widths):
        found["log10_singular_values"] = jacobian.log10_singular_values(parts, len(layers))
    return found
