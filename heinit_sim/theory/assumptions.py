"""Which theory holds for a condition: the one place that decides it."""

from heinit_sim.activations import make_activation
from heinit_sim.experiment.activation_table import Slope
from heinit_sim.experiment.quantities import Measure, Quantity
from heinit_sim.experiment.sweep_config import Condition
from heinit_sim.sampling.data_sets import is_data_set


def homogeneous_slope(condition: Condition) -> Slope | None:
    """α where the activation is positively homogeneous, a[rz] = r a[z], without biases; or None.

    A factor of the inputs is one of every layer then, of convolutions and of blocks that do not
    normalise as well.
    """
    if condition.has_biases:
        return None
    return make_activation(condition.activation, condition.activation_options).negative_slope


def has_fresh_layers(condition: Condition) -> bool:
    """Whether each layer has weights of its own for each of its units, given the layer before.

    Then the law of a layer follows from the norm of the one before. Positions of convolutions share
    weights, and residual blocks add to what they see.
    """
    return condition.convolution is None and condition.residual is None


def has_scaled_activations(condition: Condition) -> bool:
    """Whether E[a[f_k]²] is a factor times E[f_k²]: a is homogeneous, f_k has mean 0."""
    activation = make_activation(condition.activation, condition.activation_options)
    return activation.negative_slope is not None and not any(condition.bias_means)


def has_mean_phase(condition: Condition) -> bool:
    """Whether layers of unlike σ²_w are in the phase of their geometric mean.

    Second moments are multiplied by σ²_w then, by that of a homogeneous activation without biases.
    """
    activation = make_activation(condition.activation, condition.activation_options)
    return activation.common_slope is not None and not any(condition.bias_variances)


def has_normal_biases(condition: Condition) -> bool:
    """Whether all biases that differ are normal."""
    return all(not s.bias_variance or s.bias_distribution == "normal" for s in condition.layers)


def has_layer_laws(condition: Condition) -> bool:
    """Whether each layer is normal given the one before, as the laws of single layers have it."""
    normal = condition.has_normal_weights and has_normal_biases(condition)
    return has_fresh_layers(condition) and normal


def is_known_at_infinite_width(condition: Condition, measure: Measure) -> bool:
    """Whether the infinite-width recursion gives a measure: it takes f_k to be normal.

    Uniform biases leave each f_k symmetric about 0. By that alone the recursion gives E[f_k²] and,
    of a homogeneous activation, E[h_k²]; nothing else.
    """
    if has_normal_biases(condition):
        return True
    symmetric = has_scaled_activations(condition) and not condition.lsuv
    return symmetric and measure in (
        ("preactivation", "second_moment"),
        ("preactivation", "variance"),
        ("activation", "second_moment"),
    )


def may_leave_float_range(condition: Condition) -> bool:
    """Whether a layer's numbers are kept as plain floats: no factor can be taken out of them."""
    return homogeneous_slope(condition) is None or condition.residual is not None


def chain_slope(condition: Condition) -> Slope | None:
    """α where the law of the norms is known step by step (`norm_chain`); else None.

    That takes a homogeneous activation, normal weights and layers that are fully connected, each
    with the next one alone.
    """
    if not (has_fresh_layers(condition) and condition.has_normal_weights):
        return None
    return homogeneous_slope(condition)


def obeys_scale_law(condition: Condition) -> bool:
    """Whether the condition's moments follow from the unit-variance network's by `scale_law`.

    That takes a positively homogeneous activation, zero biases and y = 0; weights that do not
    depend on the inputs; and that nothing is added to what they make.
    """
    given = condition.target == 0.0 and condition.lsuv is None and condition.residual is None
    return given and homogeneous_slope(condition) is not None


def layers_of_outer_products(condition: Condition) -> list[int]:
    """Layers in which the weight gradient of one input is the outer product of ∂ℓ/∂f_k and h_k.

    Weights that positions share have no such gradients, nor have those inside blocks.
    """
    if condition.convolution:
        return [condition.depth] if condition.convolution.readout == "flatten" else []
    return layers_outside_blocks(condition)


def layers_outside_blocks(condition: Condition) -> list[int]:
    """Layers with f_k = β + Ω h_k, where E[h_k²] tells E[f_k²], or a range that it lies in."""
    return [0, condition.depth] if condition.residual else list(range(condition.depth + 1))


def layers_of_activation_ratios(condition: Condition) -> list[int]:
    """Layers k in which E[h_{k+1}²] follows from E[f_k²] and E[h_k²], for biases of mean 0.

    A block adds to what enters it, whatever its activation is; others must be homogeneous.
    """
    activation = make_activation(condition.activation, condition.activation_options)
    if condition.residual is None and activation.negative_slope is None:
        return []
    return [k for k in range(condition.depth) if condition.layers[k].bias_mean == 0]


def exact_layers(condition: Condition) -> dict[Quantity, int]:
    """Return the number of layers, from 0 on, whose recursion is exact at any width.

    Of convolutions with normal weights and a homogeneous activation: given h_k, f_k is normal at
    each position, with E[f_k²] = σ² Σ h_k² over the window, and of E[a[f_k]²] it leaves p2. So are
    the second moments of a forward pass, which begins with components that are alike, or sums over
    all positions; not those of an average over positions, nor of a backward pass, whose gradients
    know the activations.
    """
    convolution = condition.convolution
    given = condition.has_normal_weights and not (condition.residual or condition.lsuv)
    if convolution is None or not given or homogeneous_slope(condition) is None:
        return {}
    if convolution.padding == "zero" and is_data_set(condition.inputs):
        return {}
    averaged = convolution.readout == "mean" and convolution.positions > 1
    return {"preactivation": condition.depth + (not averaged), "activation": condition.depth + 1}


def has_cosines(condition: Condition) -> bool:
    """Whether the cosine of two inputs in one infinitely wide layer decides that in the next.

    All positions of an image are alike for it, and blocks have no biases and fixed weights.
    """
    convolution, homogeneous = condition.convolution, homogeneous_slope(condition) is not None
    if not has_normal_biases(condition):
        return False
    if condition.residual and (condition.has_biases or condition.lsuv):
        return False
    alike = convolution is None or convolution.padding == "circular"
    return alike or (homogeneous and not condition.residual)


def has_lsuv_variances(condition: Condition) -> bool:
    """Whether the variances at which LSUV ends are known, by the fans of the layers alone."""
    convolution = condition.convolution
    if condition.residual or not has_normal_biases(condition):
        return False
    return convolution is None or (
        convolution.padding == "circular" and convolution.readout == "flatten"
    )


def may_misfit(condition: Condition) -> bool:
    """Whether a layer may be too narrow for infinite width, and it is known how to tell.

    Without constant biases the mean of a homogeneous activation is that of infinite width.
    """
    if not has_fresh_layers(condition) or condition.lsuv or not has_normal_biases(condition):
        return False
    activation = make_activation(condition.activation, condition.activation_options)
    return activation.negative_slope is None or any(condition.bias_means)


def why_no_phase(condition: Condition) -> str | None:
    """Why infinitely wide networks of this kind have no one phase, and what to do; or None."""
    convolution = condition.convolution
    activation = make_activation(condition.activation, condition.activation_options)
    if condition.residual:
        return "residual blocks have no phase, must be network.residual: null"
    if convolution and convolution.padding == "zero" and convolution.kernel > 1:
        return "an edge of zeros has no one phase, must be padding: circular"
    if activation.by_layer:
        return "a slope for each layer has no one phase, must be one slope"
    if not has_normal_biases(condition):
        return "uniform biases have no phase, must be bias_variance without bias_scheme"
    if any(condition.bias_means):
        return "a constant bias has no phase, must be bias_variance alone"
    return None
