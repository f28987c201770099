"""One step of training against networks of plain matrices that really take it."""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from heinit_sim.experiment.quantities import Measure
from heinit_sim.experiment.records import Records
from heinit_sim.experiment.steps import (
    Activate,
    Norm,
    Row,
    Weights,
    WeightSpec,
    dense_layers,
    matrices,
)
from heinit_sim.experiment.sweep_config import Loss, Lsuv, OptimiserName, Update
from heinit_sim.network.layers import make_layers
from heinit_sim.network.lsuv import fitted_to_batch
from heinit_sim.network.steps import training
from heinit_sim.network.steps.training import TrainingStep
from heinit_sim.network.steps.weights import Convolved, Dense, Weighted
from heinit_sim.sampling import streams
from heinit_sim.simulation.measure import measure
from heinit_sim.simulation.plan import NetworkPass
from heinit_sim.simulation.tasks import simulate_block
from tests.network.slow_network import SlowNetwork, draws_of, full_matrix, single_weights
from tests.network.test_protocol import N_INPUTS, NETWORKS, Drawn, drawn, given_rows
from tests.rows import slow_but

Array = np.ndarray
TARGET = 0.3
OPTIMISERS: tuple[OptimiserName, ...] = ("sgd", "adam")
SEEDS = [seed for seed in range(24) if seed != 15]  # of which one explodes, by gate after gate
MEASURE: Measure = ("activation_update", "second_moment")


def update_of(rows: tuple[Row, ...], optimiser: OptimiserName, size: float = 0.02) -> Update:
    """Rates of every matrix that differ by factors of 2."""
    count = sum(len(matrices(row)) for row in rows)
    each = size * np.exp2(np.random.default_rng(count).uniform(-1, 1, (2, count)))
    return Update(optimiser, tuple(each[0]), tuple(each[1]))


def found_updates(given: Drawn, update: Update, target: float = TARGET) -> dict[str, Array]:
    """Mean squares of both updates, (n_networks, K+1), by letter."""
    n_inputs = given.x.shape[-1]
    record = Records(update=True)
    network_pass = NetworkPass(
        draws_of(given.rows, n_inputs),
        given.rows,
        Loss(target=target),
        record=record,
        update=update,
    )
    (result,) = measure([network_pass], given.weights, given.x, given.biases, given.masks)
    f = result.networks["preactivation_update", "second_moment"]
    h = result.networks["activation_update", "second_moment"]
    return {"f": 10**f, "h": 10**h}


def changed_by(optimiser: OptimiserName, gradient: Array) -> Array:
    if optimiser == "sgd":
        return gradient
    mean, square = (1 - 0.9) * gradient, (1 - 0.999) * gradient**2
    return (mean / (1 - 0.9)) / (np.sqrt(square / (1 - 0.999)) + 1e-8)


def slow_updates(slow: SlowNetwork, x: Array, update: Update) -> dict[str, Array]:
    """The same of one network, whose gradients are complex steps and whose Ω' are formed."""
    n_inputs = x.shape[1]
    every = [weights for row in slow.rows for weights in matrices(row)]
    before, _ = slow.run(x)
    after = SlowNetwork(
        slow.rows, slow.weights, slow.biases and [*slow.biases], slow.masks, slow.target
    )
    for place, weights in enumerate(every):
        dl_df = slow.derivative(("made", place), (weights.outputs, n_inputs), x)
        slow.run(x)
        z = slow.entered[place][0].real
        gradient = np.einsum("un,eui,in->e", dl_df, single_weights(weights), z) / n_inputs
        omega = np.sqrt(weights.spec.weight_variance) * slow.weights[place]
        step = changed_by(update.optimiser, gradient).reshape(weights.shape)
        after.full[place] = full_matrix(omega - update.rates[place] * step, weights)
        if after.biases:
            by_row = dl_df.reshape(weights.shape[0], -1).sum(axis=1) / n_inputs
            moved = update.bias_rates[place] * changed_by(update.optimiser, by_row)
            after.biases[place] = after.biases[place] - moved  # type: ignore[index]  # a list
    moved_to, _ = after.run(x)
    sizes = {name: np.mean((moved_to[name] - layer).real ** 2) for name, layer in before.items()}
    layers = range(len(slow.rows))
    return {letter: np.array([sizes[letter, k] for k in layers]) for letter in "fh"}


@cache
def slow_rows(seed: int, cnn: bool, optimiser: OptimiserName) -> list[dict[str, Array]]:
    given = given_rows(seed, cnn=cnn)
    update = update_of(given.rows, optimiser)
    return [slow_updates(given.slow(n), given.x[n], update) for n in range(NETWORKS)]


def are_slow_ones(seed: int, cnn: bool, optimiser: OptimiserName) -> bool:
    """Equal but for rounding of h_k, of which differences here are at least a part in 1e5.

    Before a batch norm some gradients are 0 but for rounding, 1e-16, which Adam divides by 1e-8.
    """
    given = given_rows(seed, cnn=cnn)
    is_rounding = optimiser == "adam" and any(
        isinstance(step, Norm) and step.kind == "batch" for row in given.rows for step in row
    )
    tolerance = 1e-6 if is_rounding else 1e-9
    found = found_updates(given, update_of(given.rows, optimiser))
    for network, expected in enumerate(slow_rows(seed, cnn, optimiser)):
        for letter, sizes in expected.items():
            gaps = np.abs(found[letter][network] - sizes)
            if not (gaps <= tolerance * sizes).all():
                return False
    return True


@pytest.mark.parametrize("optimiser", OPTIMISERS)
@pytest.mark.parametrize("cnn", [False, True])
@pytest.mark.parametrize("seed", slow_but(SEEDS, *range(4)))
def test_steps_of_random_rows_are_those_of_plain_matrices(
    seed: int, cnn: bool, optimiser: OptimiserName
) -> None:
    assert are_slow_ones(seed, cnn, optimiser)


def _without_biases(self: Any, given: Any, z: Any) -> Any:
    return CHANGE(self._replace(biases=None), given, z)


CHANGE = Weighted._change
TWINS: dict[str, tuple[object, str, object]] = {
    "the sum over inputs": (
        TrainingStep,
        "seen",
        lambda self, place: (self.tape.gradients[place], self.tape.entered[place]),
    ),
    "biases that stay": (Weighted, "_change", _without_biases),
    "another ε": (training, "ADAM_EPSILON", 1e-7),
    "rates of weights for biases": (
        TrainingStep,
        "update",
        property(lambda self: self[0]._replace(bias_rates=self[0].rates)),
    ),
    "the matrix turned": (
        Dense,
        "change",
        lambda self, g, h, z, rule: (g @ np.roll(h, 1, axis=-2).swapaxes(-1, -2)) @ z,
    ),
    "biases of one position": (
        Convolved,
        "per_row",
        lambda self, g: Dense().per_row(g)[..., :: self.window.positions_out, :],
    ),
}


@pytest.mark.parametrize("twin", TWINS)
def test_errors_of_a_step_are_found(twin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert all(are_slow_ones(seed, cnn, o) for seed, cnn, o in QUICK)
    monkeypatch.setattr(*TWINS[twin])
    assert not all(are_slow_ones(seed, cnn, o) for seed, cnn, o in QUICK)


QUICK = [(seed, cnn, o) for seed in (0, 3) for cnn in (False, True) for o in OPTIMISERS]


def plain(widths: list[int], name: str = "tanh", seed: int = 1) -> Drawn:
    rows = dense_layers(widths, [1 / width for width in widths[:-1]], Activate(name))
    return drawn(rows, seed)


def test_a_step_of_linear_regression_has_a_closed_form() -> None:
    rows: tuple[Row, ...] = ((Weights(WeightSpec(0.25), 5, 3),),)
    given = drawn(rows, 4)
    f = 0.5 * given.weights[0] @ given.x
    gram = given.x.swapaxes(1, 2) @ given.x
    moved = 0.1 * (2 * (f - TARGET) / N_INPUTS) @ gram  # 2 (f − y) xᵀ, averaged, times x
    found = found_updates(given, Update("sgd", (0.1,), (0.1,)))
    assert found["f"][:, 0] == pytest.approx((moved**2).mean(axis=(1, 2)), rel=1e-12, abs=0)
    assert (found["h"] == 0).all()  # inputs stay


@pytest.mark.parametrize("n_inputs", [2, 30])  # below and above the widths: either product
@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_a_small_step_is_what_the_tangent_kernel_says(
    n_inputs: int, optimiser: OptimiserName
) -> None:
    # Δf = −η J step(Jᵀ δ/N) + O(η²), J by complex steps over all weights.
    given = plain([4, 6, 5, 2])
    given.x = np.random.default_rng(3).standard_normal((NETWORKS, 4, n_inputs))
    rate = 1e-6
    found = found_updates(given, Update(optimiser, (rate,) * 3, (rate,) * 3))["f"][:, -1]
    for network in range(NETWORKS):
        shapes = [w[network].shape for w in given.weights]
        flat = np.concatenate([w[network].ravel() for w in given.weights])
        stds = np.concatenate([np.full(np.prod(s), s[1] ** -0.5) for s in shapes])

        def outputs(theta: Array, network: int = network, shapes: Any = shapes) -> Array:
            z, start = given.x[network].astype(complex), 0
            for k, shape in enumerate(shapes):
                omega = theta[start : start + np.prod(shape)].reshape(shape)
                z, start = omega @ (np.tanh(z) if k else z), start + np.prod(shape)
            return np.asarray(z.ravel())

        theta = stds * flat
        moves = 1e-30j * np.eye(theta.size)
        jacobian = np.array([outputs(theta + move).imag / 1e-30 for move in moves]).T
        delta = 2 * (outputs(theta).real - TARGET) / n_inputs
        expected = rate * jacobian @ changed_by(optimiser, jacobian.T @ delta)
        # the next order is η times curvatures of about 1 and all weights, rounding 1e-16/1e-6
        assert found[network] == pytest.approx(np.mean(expected**2), rel=1e-3, abs=0)
        assert found[network] != pytest.approx(np.mean((1.01 * expected) ** 2), rel=1e-3, abs=0)


@pytest.mark.parametrize("power", [150, -150])
def test_steps_beyond_float_range_obey_the_scale_law(power: int) -> None:
    # Weights times c, η times c^−2K: all Δh_k times c^k. G is of 2^±1050 there.
    given = plain([6, 8, 8, 8, 2], "relu")
    depth = len(given.rows) - 1
    rate = 2.0**-6
    near = _log10s(given, Update("sgd", (rate,) * 4, (rate,) * 4))
    c2 = 2.0 ** (2 * power)
    far = replace(given, rows=tuple(_with_variance(row, c2) for row in given.rows))
    scaled = rate * 2.0 ** (-2 * depth * power)
    found = _log10s(far, Update("sgd", (scaled,) * 4, (scaled,) * 4))
    shift = 2 * power * np.log10(2.0) * np.arange(1, depth + 2)
    assert found == pytest.approx(near + shift, rel=1e-12, abs=0)
    wrong = scaled * 1.000001
    assert _log10s(far, Update("sgd", (wrong,) * 4, (wrong,) * 4)) != pytest.approx(
        near + shift, rel=1e-12, abs=0
    )


@pytest.mark.parametrize("power", [150, -150])
def test_adam_takes_signs_of_large_gradients_and_shares_of_small_ones(power: int) -> None:
    # Far above ε the step is η in size, far below it η G/ε: laws of powers of c in both.
    given = plain([6, 8, 8, 8, 2], "relu")
    depth, rate = len(given.rows) - 1, 2.0**-6
    found = []
    for more in (0, 8):
        c = power + more if power > 0 else power - more
        far = replace(given, rows=tuple(_with_variance(r, 2.0 ** (2 * c)) for r in given.rows))
        grows = c if power > 0 else -2 * depth * c
        scaled = rate * 2.0**grows
        shift = 2 * c * np.log10(2.0) * np.arange(1, depth + 2)
        found.append(_log10s(far, Update("adam", (scaled,) * 4, (scaled,) * 4)) - shift)
    assert found[0] == pytest.approx(found[1], abs=1e-9)


def _with_variance(row: Row, factor: float) -> Row:
    return tuple(
        step._replace(spec=WeightSpec(factor * step.spec.weight_variance))
        if isinstance(step, Weights)
        else step
        for step in row
    )


def _log10s(given: Drawn, update: Update) -> Array:
    """log10 of E[Δf_k²], y = 0."""
    draws = draws_of(given.rows, given.x.shape[-1])
    each = NetworkPass(draws, given.rows, Loss(), record=Records(update=True), update=update)
    (result,) = measure([each], given.weights, given.x, given.biases, given.masks)
    return result.networks["preactivation_update", "second_moment"]


def test_what_a_step_takes_out_of_float_range_is_lost_and_nothing_else() -> None:
    given = plain([6, 8, 8, 2], "gelu_tanh")
    rates = (1e300, 1e300, 1e300)
    draws = draws_of(given.rows, N_INPUTS)
    each = NetworkPass(
        draws,
        given.rows,
        Loss(target=TARGET),
        record=Records(update=True),
        update=Update("sgd", rates, rates),
    )
    (result,) = measure([each], given.weights, given.x, None)
    assert np.isnan(result.networks["preactivation_update", "second_moment"][:, -1]).all()
    assert np.isfinite(result.networks["preactivation", "second_moment"]).all()


def test_a_rate_of_zero_changes_nothing_and_zero_weights_may_be_trained() -> None:
    given = plain([6, 8, 8, 2])
    assert not any(
        v.any() for v in found_updates(given, Update("sgd", (0.0,) * 3, (0.0,) * 3)).values()
    )
    zero = replace(given, rows=(*given.rows[:-1], _with_variance(given.rows[-1], 0.0)))
    found = found_updates(zero, Update("sgd", (0.1,) * 3, (0.1,) * 3))
    assert (found["h"] == 0).all()  # no gradient passes the last layer
    h = given.x
    for omega in given.weights[:-1]:
        h = np.tanh(omega @ h / np.sqrt(omega.shape[-1]))
    moved = 0.1 * (2 * TARGET / N_INPUTS) * h.sum(axis=-1, keepdims=True).swapaxes(1, 2) @ h
    assert found["f"][:, -1] == pytest.approx((moved**2).mean(axis=(1, 2)), rel=1e-12, abs=0)


def test_lsuv_takes_the_step_from_the_weights_that_it_fitted() -> None:
    given, lsuv = plain([6, 8, 8, 2]), Lsuv(1e-9)
    update = Update("sgd", (0.05,) * 3, (0.05,) * 3)
    draws = draws_of(given.rows, N_INPUTS)
    options: Any = {"record": Records(update=True), "update": update}
    (fitted,) = measure(
        [NetworkPass(draws, given.rows, Loss(target=TARGET), lsuv, **options)],
        given.weights,
        given.x,
        None,
    )
    layers = make_layers(given.rows, given.weights)
    factors, _ = fitted_to_batch(layers, given.x, None, lsuv)
    by_network = (factor[:, np.newaxis, np.newaxis] for factor in factors)
    given.weights = [w * factor for w, factor in zip(given.weights, by_network, strict=True)]
    expected = found_updates(given, update)["f"]
    found = 10 ** fitted.networks["preactivation_update", "second_moment"]
    assert found == pytest.approx(expected, rel=1e-12, abs=0)


def test_numbers_depend_on_no_other_network_and_not_on_weights_being_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = plain([6, 40, 40, 2], "relu")
    draws = draws_of(given.rows, N_INPUTS)
    for optimiser in OPTIMISERS:
        each = NetworkPass(
            draws,
            given.rows,
            Loss(target=TARGET),
            record=Records(update=True),
            update=Update(optimiser, (0.01,) * 3, (0.01,) * 3),
        )
        other = replace(each, update=Update(optimiser, (0.02,) * 3, (0.01,) * 3))
        together = simulate_block(5, (each, other), range(4), spare=[])
        alone = [
            simulate_block(5, (each,), range(t, t + 1), spare=[])[0].networks[MEASURE]
            for t in range(4)
        ]
        assert np.array_equal(together[0].networks[MEASURE], np.concatenate(alone))
        assert not np.array_equal(together[0].networks[MEASURE], together[1].networks[MEASURE])
        with monkeypatch.context() as patch:
            patch.setattr(streams, "_KEPT_BYTES", 0)
            again = simulate_block(5, (each,), range(4), spare=[])
        assert np.array_equal(together[0].networks[MEASURE], again[0].networks[MEASURE])
