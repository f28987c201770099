"""Which theory holds for a condition: the one place that decides it."""

from heinit_sim.activations import activation_of
from heinit_sim.experiment.activation_table import Slope
from heinit_sim.experiment.quantities import Measure, Quantity
from heinit_sim.experiment.steps import (
    Activate,
    Add,
    Dropout,
    Norm,
    Pool,
    Row,
    Step,
    Weights,
    Window,
    behind_f,
    by_layer,
    distinct,
    is_plain,
    matrices,
)
from heinit_sim.experiment.sweep_config import Condition
from heinit_sim.sampling.data_sets import is_data_set


def homogeneous_slope(condition: Condition) -> Slope | None:
    """α where a factor of the inputs is one of every layer: a[rz] = r a[z], no biases; or None.

    Weights, pools, dropout and `add` keep such a factor; norms lose it, and of gates it is the
    square. A tuple has one α for each hidden layer, where they differ; None as well where one
    layer has several.
    """
    kinds = (Weights, Activate, Pool, Add, Dropout)
    if condition.has_biases or not _has_only(condition, *kinds):
        return None
    of_layers = by_layer(condition.layers, _slopes)
    every = {slope for slopes in of_layers for slope in slopes}
    if None in every:
        return None
    if len(every) < 2:
        return next((slope for slope in every if slope is not None), 1.0)
    if any(len(set(slopes)) > 1 for slopes in of_layers[:-1]) or of_layers[-1]:
        return None
    slopes = [slopes[0] if slopes else 1.0 for slopes in of_layers[:-1]]
    return tuple(slope for slope in slopes if slope is not None)


def has_fresh_layers(condition: Condition) -> bool:
    """Whether each layer has weights of its own for each of its units, given the layer before.

    Then the law of a layer follows from the norm of the one before. Positions of convolutions share
    weights, and other blocks do more than to weigh and activate.
    """
    return all(_is_dense(row) for row in distinct(condition.layers))


def has_scaled_activations(condition: Condition) -> bool:
    """Whether E[a[f_k]²] is a factor times E[f_k²]: a is homogeneous, f_k has mean 0."""
    return _are_homogeneous(condition) and not any(condition.bias_means)


def has_exchangeable_inputs(condition: Condition) -> bool:
    """Whether any two inputs are as alike as any others, in every layer.

    Examples of a data set and several pairs are not; batch norm makes numbers of one unit depend on
    each other.
    """
    inputs, steps = condition.inputs, (s for row in distinct(condition.layers) for s in row)
    batch_norm = any(isinstance(step, Norm) and step.kind == "batch" for step in steps)
    several_pairs = inputs.distribution == "pair" and condition.n_inputs > 2
    return not (is_data_set(inputs) or several_pairs or batch_norm)


def linear_layers(condition: Condition) -> int:
    """Number of layers, from 0 on, of which f_k is a product of normal matrices and normal inputs.

    Biases add the same to all inputs, and are let be.
    """
    given = has_layer_laws(condition) and has_centred_weights(condition) and not condition.lsuv
    if not given or condition.inputs.distribution not in ("standard_normal", "normal"):
        return 0
    bent = [any(slope != 1.0 for slope in _slopes(row)) for row in condition.layers[:-1]]
    return bent.index(True) + 1 if True in bent else condition.depth + 1


def has_mean_phase(condition: Condition) -> bool:
    """Whether layers of unlike σ²_w are in the phase of their geometric mean.

    Second moments are multiplied by σ²_w then, by that of a homogeneous activation without biases.
    """
    alike = len(condition.activates) < 2
    return alike and _are_homogeneous(condition) and not any(condition.bias_variances)


def has_centred_weights(condition: Condition) -> bool:
    """Whether all weights are random and of mean 0; of variance 0 only where something is added.

    All theory rests on that.
    """
    adds = has_growth(condition)
    return all(
        spec.weight_mean == 0
        and spec.weight_distribution != "identity"
        and (adds or spec.weight_variance > 0)
        for spec in condition.every_spec
    )


def has_normal_biases(condition: Condition) -> bool:
    """Whether all biases that differ are normal."""
    return all(not s.bias_variance or s.bias_distribution == "normal" for s in condition.every_spec)


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


def has_known_loss(condition: Condition) -> bool:
    """Whether the infinite-width recursion gives the mean loss: of f_K² alone, or of its law."""
    if condition.loss.name == "least_squares":
        return is_known_at_infinite_width(condition, ("preactivation", "second_moment"))
    return has_normal_biases(condition)


def may_norm_all_away(condition: Condition) -> bool:
    """Whether what a norm makes may be the same for all inputs but for signs.

    Numbers less their mean and over their size have n − 2 directions for n units, and one input
    component a size alone. Gradients are 0 but for rounding then.
    """
    steps = (step for row in distinct(condition.layers) for step in row)
    return min(condition.widths[:-1]) <= 2 and any(isinstance(step, Norm) for step in steps)


def may_leave_float_range(condition: Condition) -> bool:
    """Whether a layer's numbers are kept as plain floats: no factor can be taken out of them."""
    if not _has_only(condition, Weights, Activate, Pool):
        return True
    return is_centred(condition) or homogeneous_slope(condition) is None


def chain_slope(condition: Condition) -> Slope | None:
    """α where the law of the norms is known step by step (`norm_chain`); else None.

    That takes a homogeneous activation behind each hidden layer alone, normal weights and layers
    that are fully connected, each with the next one.
    """
    if not (has_layer_laws(condition) and has_centred_weights(condition)):
        return None
    last = condition.layers[-1]
    single = all(len(row) == 2 for row in distinct(condition.layers) if row is not last)
    return homogeneous_slope(condition) if single and len(last) == 1 else None


def has_free_spectrum(condition: Condition) -> bool:
    """Whether the law of the Jacobian's singular values is known in wide layers.

    That takes square dense layers of orthogonal weights or independent ones, of a homogeneous
    activation without biases: then slopes are 1 or α, as often.
    """
    laws = {spec.weight_distribution for spec in condition.every_spec}
    given = has_fresh_layers(condition) and len(set(condition.widths)) == 1
    given = given and has_centred_weights(condition) and not laws & {"sparse", "identity"}
    return given and condition.lsuv is None and homogeneous_slope(condition) is not None


def has_scaled_gradients(condition: Condition) -> bool:
    """Whether ∂ℓ/∂f_K has a factor of f_K, or knows nothing of it: Σ f_K² or a probe."""
    return condition.loss.is_quadratic or condition.loss.name == "probe"


def has_exact_gradients(condition: Condition) -> bool:
    """Whether means of gradients follow from isotropy: 2 (f_K − y), or a probe at f_K."""
    return condition.loss.name != "cross_entropy"


def has_known_gradients_along(condition: Condition) -> bool:
    """Whether f_K alone says what ⟨∂ℓ/∂f_K, f_K⟩ is: 2 ‖f_K‖²."""
    return condition.loss.is_quadratic


def loss_sees_f(condition: Condition) -> bool:
    """Whether the loss is one of f_K itself, with no step behind it."""
    return not behind_f(condition.layers[-1])


def has_normal_outputs(condition: Condition) -> bool:
    """Whether the outputs are normal and independent, and alike, given h_K."""
    last, spec = condition.layers[-1], condition.specs[-1]
    normal = spec.weight_distribution == "normal" and spec.weight_mean == 0
    normal = normal and (not spec.bias_variance or spec.bias_distribution == "normal")
    return normal and is_plain(last) and len(last) == 1 and condition.lsuv is None


def obeys_scale_law(condition: Condition) -> bool:
    """Whether the condition's moments follow from the unit-variance network's by `scale_law`.

    That takes a positively homogeneous activation, zero biases, and y = 0 or a probe; weights that
    do not depend on the inputs, one matrix for each layer; and that nothing is added to what they
    make.
    """
    given = has_scaled_gradients(condition) and condition.lsuv is None
    given = given and has_centred_weights(condition)
    single = all(len(matrices(row)) == 1 for row in distinct(condition.layers))
    straight = _has_only(condition, Weights, Activate, Pool, Dropout)
    return given and single and straight and homogeneous_slope(condition) is not None


def layers_of_outer_products(condition: Condition) -> list[int]:
    """Layers in which the weight gradient of one input is the outer product of ∂ℓ/∂f_k and h_k.

    Weights that positions share have no such gradients, nor have those inside blocks.
    """
    return [k for k, dense in enumerate(by_layer(condition.layers, _is_dense)) if dense]


def exact_layers(condition: Condition) -> dict[Quantity, int]:
    """Return the number of layers, from 0 on, whose recursion is exact at any width.

    Of convolutions with normal weights and a homogeneous activation: given h_k, f_k is normal at
    each position, with E[f_k²] = σ² Σ h_k² over the window, and of E[a[f_k]²] it leaves p2. So are
    the second moments of a forward pass, which begins with components that are alike, or sums over
    all positions; not those of an average over positions, nor of a backward pass, whose gradients
    know the activations. Positions that a stride leaves out make no difference to an average.
    """
    given = condition.has_normal_weights and has_centred_weights(condition)
    given = given and not condition.lsuv
    straight = _has_only(condition, Weights, Activate, Pool) and all(
        len(matrices(row)) == 1 for row in distinct(condition.layers)
    )
    windows = _windows(condition)
    if not windows or not given or not straight or homogeneous_slope(condition) is None:
        return {}
    if is_data_set(condition.inputs) and not all(map(_sees_all_alike, windows)):
        return {}
    averaged = [_averages(row) for row in condition.layers]
    layers = averaged.index(True) if True in averaged else condition.depth + 1
    return {"preactivation": layers, "activation": min(layers, condition.depth) + 1}


def is_centred(condition: Condition) -> bool:
    """Whether biases are fitted to the batch."""
    return condition.lsuv is not None and condition.lsuv.centre


def has_lsuv_variances(condition: Condition) -> bool:
    """Whether the variances at which LSUV ends are known, by the fans of the layers alone."""
    if is_centred(condition):
        return False
    rows = distinct(condition.layers)
    circular = all(w.padding == "circular" and w.groups == 1 for w in _windows(condition))
    hidden = [row for row in rows if row is not condition.layers[-1]]
    ends = len(condition.layers[-1]) == 1 and all(len(row) < 3 for row in hidden)
    return circular and ends and all(is_plain(row) for row in rows)


def may_misfit(condition: Condition) -> bool:
    """Whether a layer may be too narrow for infinite width, and it is known how to tell.

    Without constant biases the mean of a homogeneous activation is that of infinite width.
    """
    if not (has_fresh_layers(condition) and has_normal_biases(condition)):
        return False
    if condition.lsuv or not has_centred_weights(condition):
        return False
    return not _are_homogeneous(condition) or any(condition.bias_means)


def has_growth(condition: Condition) -> bool:
    """Whether layers add to what enters them, so that signals grow instead of settling."""
    return any(isinstance(step, Add) for row in distinct(condition.layers) for step in row)


def why_no_growth(condition: Condition) -> str | None:
    """Why infinitely wide networks of this kind have no theory, and what to do; or None."""
    if not has_centred_weights(condition):
        return "weights of a mean or of no variance have no theory, must be random ones of mean 0"
    if not has_normal_biases(condition):
        return "uniform biases have no theory, must be bias_variance without bias_scheme"
    return None


def why_no_phase(condition: Condition) -> str | None:
    """Why infinitely wide networks of this kind have no one phase, and what to do; or None."""
    if any(w.padding == "zero" and w.kernel > 1 for w in _windows(condition)):
        return "an edge of zeros has no one phase, must be padding: circular"
    hidden = distinct(condition.layers[:-1])
    if not all(is_plain(row) and len(row) == 2 for row in hidden):
        return (
            "network.block has no phase, must be [weights, activation], or add for growth; "
            "a network of stages has one row of steps for each layer"
        )
    if len({row[1] for row in hidden}) > 1:
        return "a slope for each layer has no one phase, must be one slope"
    if any(condition.bias_means):
        return "a constant bias has no phase, must be bias_variance alone"
    return why_no_growth(condition)


def _has_only(condition: Condition, *kinds: type[Step]) -> bool:
    return all(isinstance(step, kinds) for row in distinct(condition.layers) for step in row)


def _slopes(row: Row) -> tuple[float | None, ...]:
    """α of each activation of a row, None of those that are not homogeneous."""
    return tuple(activation_of(step).common_slope for step in row if isinstance(step, Activate))


def _are_homogeneous(condition: Condition) -> bool:
    return all(activation_of(step).common_slope is not None for step in condition.activates)


def _is_dense(row: Row) -> bool:
    """Whether a layer is fully connected, and at most activated."""
    return is_plain(row) and matrices(row)[0].window is None


def _averages(row: Row) -> bool:
    return any(isinstance(step, Pool) and step.positions > 1 for step in row)


def _windows(condition: Condition) -> list[Window]:
    return [
        w.window
        for row in distinct(condition.layers)
        for w in matrices(row)
        if w.window is not None
    ]


def _sees_all_alike(window: Window) -> bool:
    """Whether as many outputs see each input."""
    return window.padding == "circular" and window.stride == 1
