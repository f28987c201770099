"""Passes without weights: they are those of a network with weights, and of the same law."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from heinit_sim.experiment.quantities import Quantity
from heinit_sim.experiment.steps import Activate, Row, dense_layers
from heinit_sim.network import conditional, layers, passes
from heinit_sim.network.conditional import GivenLayer
from heinit_sim.network.losses import least_squares
from heinit_sim.network.passes import LayerName
from heinit_sim.numerics.scaled_array import Exponents, Scaled
from heinit_sim.numerics.triangular_root import TriangularRoot, triangular_root
from heinit_sim.sampling.streams import DrawnNormals, Draws
from tests.conditions import dense_draws
from tests.rows import slow_but

Array = np.ndarray
EPS = np.finfo(float).eps
QUANTITIES: tuple[Quantity, ...] = (
    "preactivation",
    "activation",
    "grad_preactivation",
    "grad_activation",
)
LEAKY = Activate("leaky_relu", (("negative_slope", 0.2),))
ACTIVATES = {"relu": Activate("relu"), "tanh": Activate("tanh"), "leaky": LEAKY}
ACTIVATES["gelu"] = Activate("gelu")


@dataclass(frozen=True)
class Case:
    """Networks of one shape."""

    widths: tuple[int, ...]
    n_inputs: int
    activate: str = "relu"
    biased: bool = False
    target: float = 0.0
    ends_activated: bool = False
    gap: float | None = None
    """Size of what sets the inputs apart; None: they are independent."""

    def __str__(self) -> str:
        words = ["-".join(map(str, self.widths)), f"{self.n_inputs} inputs", self.activate]
        words += ["biases"] * self.biased + ["activated"] * self.ends_activated
        return ", ".join(words + [f"gap {self.gap}"] * (self.gap is not None))

    @property
    def rows(self) -> tuple[Row, ...]:
        variances = [1.7 / width for width in self.widths[:-1]]
        rows = dense_layers(self.widths, variances, ACTIVATES[self.activate])
        last = (*rows[-1], ACTIVATES[self.activate]) if self.ends_activated else rows[-1]
        return (*rows[:-1], last)

    def draw(self, n: int, seed: int) -> tuple[Array, list[Array] | None, np.random.Generator]:
        """Inputs and biases of so many networks, and what all other numbers come from."""
        rng = np.random.Generator(np.random.SFC64(seed))
        x = rng.standard_normal((n, self.widths[0], self.n_inputs))
        if self.gap is not None:
            x = x[..., :1] + self.gap * x
        biases = [0.3 * rng.standard_normal((n, width, 1)) for width in self.widths[1:]]
        return x, biases if self.biased else None, rng


class Numbers:
    """Normal numbers of networks, drawn once."""

    def __init__(self, case: Case, n: int, rng: np.random.Generator) -> None:
        shapes = [(n, case.n_inputs, width) for width in case.widths]
        self._back = [rng.standard_normal(shape) for shape in shapes[:-1]]
        self._ahead = [rng.standard_normal(shape) for shape in shapes[1:]]

    def ahead(self, k: int) -> Array:
        return self._ahead[k]

    def back(self, k: int) -> Array:
        return self._back[k]


Layers = Mapping[LayerName, Array]


def plain(z: Scaled) -> Array:
    return np.ldexp(z.mantissa, z.exponent[..., np.newaxis, np.newaxis])


def without_weights(case: Case, n: int, seed: int, numbers: type[Numbers] = Numbers) -> Layers:
    """All layers of both passes."""
    x, biases, rng = case.draw(n, seed)
    made = conditional.make_layers(case.rows, numbers(case, n, rng), biases)
    traces = list[conditional.Trace]()
    ahead = list(conditional.iter_forward(made, x, traces))
    assert ahead[-1].end is not None
    gradient = least_squares(ahead[-1].end, case.target).gradient
    back = list(conditional.iter_backward(made, gradient, traces))
    return {name: plain(z) for stack in (*ahead, *back) for name, z in stack.layers()}


def with_weights(case: Case, n: int, seed: int) -> Layers:
    """The same of networks whose weights are drawn."""
    x, biases, rng = case.draw(n, seed)
    shapes = [(n, *shape) for shape in zip(case.widths[1:], case.widths, strict=False)]
    return weighted(case, [rng.standard_normal(shape) for shape in shapes], x, biases)


def weighted(case: Case, weights: Sequence[Array], x: Array, biases: list[Array] | None) -> Layers:
    made, traces = layers.make_layers(case.rows, weights, biases), list[layers.Trace]()
    ahead = list(passes.iter_forward(made, x, traces))
    assert ahead[-1].end is not None
    gradient = least_squares(ahead[-1].end, case.target).gradient
    back = list(passes.iter_backward(made, gradient, traces))
    return {name: plain(z) for stack in (*ahead, *back) for name, z in stack.layers()}


def lengths(z: Array) -> Array:
    found: Array = np.sqrt((z**2).sum(axis=-2))
    return found


ALGEBRA = [
    Case((7, 8, 6, 5, 3), 4),
    Case((7, 8, 6, 5, 3), 1, "leaky"),
    Case((9, 12, 9, 9), 3, "tanh"),
    Case((9, 12, 9, 9), 3, "gelu", biased=True, target=0.4),
    Case((7, 8, 6, 2), 3, "tanh", ends_activated=True),
    Case((20, 40, 30, 1), 10, "leaky", target=-0.2),
    Case((40, 60, 1), 50, "tanh"),
    Case((3, 4, 3, 6, 1), 6, "tanh"),
    Case((30, 40, 20, 1), 5, "tanh", gap=1e-9),
    Case((30, 40, 20, 1), 5, "relu", gap=0.0),
    Case((30, 40, 20, 1), 5, "gelu", biased=True, gap=1e-12),
]


@pytest.mark.parametrize("case", ALGEBRA, ids=str)
def test_gradients_know_what_the_weights_have_done(case: Case) -> None:
    """⟨h_k, ∂ℓ/∂h_k⟩ = ⟨f_k − β, ∂ℓ/∂f_k⟩ for every two inputs, for both are hᵀ Ωᵀ ∂ℓ/∂f."""
    n = 3
    found, (_, biases, _) = without_weights(case, n, 1), case.draw(n, 1)
    for k in range(len(case.rows)):
        f, h, dl_df, dl_dh = (found[quantity, k] for quantity in QUANTITIES)
        if biases:
            f = f - biases[k]
        size = lengths(h)[..., np.newaxis] * lengths(dl_dh)[..., np.newaxis, :]
        size += lengths(f)[..., np.newaxis] * lengths(dl_df)[..., np.newaxis, :]
        if case.n_inputs >= min(case.widths[k : k + 2]):  # columns in the span of others, nearly
            assert (np.abs(_inner(h, dl_dh) - _inner(f, dl_df)) <= 1e-6 * size).all()
            continue
        # Each of the inner products of D numbers is rounded; biases are taken off again.
        bound = 16 * (case.n_inputs + max(case.widths)) * EPS * size
        if biases:
            bound += 2 * EPS * np.abs(biases[k]).max() * lengths(dl_df).sum()
        assert (np.abs(_inner(h, dl_dh) - _inner(f, dl_df)) <= bound).all(), k


def _inner(a: Array, b: Array) -> Array:
    inner: Array = a.swapaxes(-1, -2) @ b
    return inner


@pytest.mark.parametrize("case", ALGEBRA[:7], ids=str)
def test_there_are_weights_that_do_the_same(case: Case) -> None:
    """Ω = F H⁺ + (δ⁺)ᵀ (∂ℓ/∂h)ᵀ (1 − H H⁺) makes F of H, and ∂ℓ/∂h of δ, in every layer."""
    n = 3
    found, (x, biases, _) = without_weights(case, n, 1), case.draw(n, 1)
    weights, worst = [], 1.0
    for k in range(len(case.rows)):
        f, h, delta, dl_dh = (found[quantity, k] for quantity in QUANTITIES)
        f = f - biases[k] if biases else f
        inverse, back = np.linalg.pinv(h, 1e-10), np.linalg.pinv(delta, 1e-10)
        omega = f @ inverse
        omega = omega + back.swapaxes(-1, -2) @ (dl_dh - _inner(omega, delta)).swapaxes(-1, -2)
        weights.append(omega / math.sqrt(1.7 / case.widths[k]))
        for z in (h, delta):
            values = np.linalg.svd(z, compute_uv=False)
            worst = max(worst, (values[:, 0] / values[values > 1e-10 * values[:, :1]].min()).max())
    again = weighted(case, weights, x, biases)
    for name, z in found.items():
        # Pseudo-inverses lose the condition number, twice in a product of two.
        np.testing.assert_allclose(again[name], z, rtol=0, atol=1e3 * worst**2 * EPS * abs(z).max())


@pytest.mark.parametrize("activate", ["relu", "leaky"])
def test_homogeneous_networks_obey_euler(activate: str) -> None:
    """⟨h_k, ∂ℓ/∂h_k⟩ = 2ℓ of each input at every layer."""
    case = Case((7, 30, 20, 30, 3), 4, activate)
    found = without_weights(case, 5, 2)
    twice = 2 * (found["preactivation", 3] ** 2).sum(axis=-2)
    for k in range(4):
        inner = (found["activation", k] * found["grad_activation", k]).sum(axis=-2)
        size = lengths(found["activation", k]) * lengths(found["grad_activation", k])
        assert (np.abs(inner - twice) <= 64 * 30 * EPS * (size + twice)).all()


def test_repeated_inputs_stay_equal_on_both_ways() -> None:
    case = Case((9, 12, 10, 2), 4, "tanh", gap=0.0)
    for z in without_weights(case, 3, 4).values():
        np.testing.assert_allclose(z, z[..., :1] + 0 * z, rtol=0, atol=64 * 12 * EPS * abs(z).max())


def test_inputs_added_behind_others_leave_their_forward_pass_as_it_is() -> None:
    draws = [dense_draws((9, 12, 7, 2), n_inputs) for n_inputs in (3, 5)]
    x = np.random.default_rng(1).standard_normal((2, 9, 5))
    rows = Case((9, 12, 7, 2), 5, "tanh").rows
    few, more = (forward_of(rows, given, x[..., : given.n_inputs]) for given in draws)
    for name, z in few.items():
        np.testing.assert_allclose(more[name][..., :3], z, rtol=0, atol=500 * EPS * abs(z).max())


def forward_of(rows: Sequence[Row], draws: Draws, x: Array) -> Layers:
    made = conditional.make_layers(rows, DrawnNormals(7, draws, range(2), 1))
    stacks = conditional.iter_forward(made, x, [])
    return {name: plain(z) for stack in stacks for name, z in stack.layers()}


def test_scale_law_holds_to_the_last_bit() -> None:
    """Variances times 4 are other exponents, and nothing else."""
    case = Case((7, 30, 20, 1), 3)
    rows = dense_layers(case.widths, [1.0] * 3, ACTIVATES["relu"])
    fourfold = dense_layers(case.widths, [4.0] * 3, ACTIVATES["relu"])
    x, _, rng = case.draw(2, 5)
    numbers = Numbers(case, 2, rng)
    found = []
    for given in (rows, fourfold):
        made, traces = conditional.make_layers(given, numbers), list[conditional.Trace]()
        stacks = list(conditional.iter_forward(made, x, traces))
        assert stacks[-1].end is not None
        stacks += conditional.iter_backward(
            made, least_squares(stacks[-1].end, 0.0).gradient, traces
        )
        found.append({name: plain(z) for stack in stacks for name, z in stack.layers()})
    first = {"preactivation": 1, "activation": 0, "grad_preactivation": 5, "grad_activation": 6}
    for (quantity, k), z in found[0].items():
        power = first[quantity] + (-k if quantity.startswith("grad") else k)
        np.testing.assert_array_equal(found[1][quantity, k], np.ldexp(z, power))


def test_depth_does_not_leave_float_range() -> None:
    """200 layers that multiply by about 300, which is 2^1600."""
    case = Case((20,) * 201 + (1,), 2, "leaky")
    rows = dense_layers(case.widths, [1e4] * 201, ACTIVATES["leaky"])
    x, _, rng = case.draw(1, 5)
    made, traces = conditional.make_layers(rows, Numbers(case, 1, rng)), list[conditional.Trace]()
    stacks = list(conditional.iter_forward(made, x, traces))
    assert stacks[-1].end is not None
    assert stacks[-1].numbers.exponent[0, 0] > 1500
    stacks += conditional.iter_backward(made, least_squares(stacks[-1].end, 0.0).gradient, traces)
    for stack in stacks:
        squares = (stack.numbers.mantissa**2).sum(axis=(-1, -2))
        assert ((squares > 2.0**-200) & (squares < 2.0**200)).all()


@pytest.mark.parametrize("variance", [1e250, 1e-250])
def test_networks_beyond_float_range_are_lost_as_with_weights(variance: float) -> None:
    """GELU leaves it upwards, tanh downwards, at the same layer."""
    widths, name = (5, 6, 6, 6, 6, 1), "gelu" if variance > 1 else "tanh"
    rows = dense_layers(widths, [variance] * 5, ACTIVATES[name])
    case = Case(widths, 2, name)
    x, _, rng = case.draw(2, 5)
    shapes = [(2, *shape) for shape in zip(widths[1:], widths, strict=False)]
    weights = [rng.standard_normal(shape) for shape in shapes]
    with_them = layers.make_layers(rows, weights)
    without = conditional.make_layers(rows, Numbers(case, 2, rng))
    ways = passes.iter_forward(with_them, x, []), conditional.iter_forward(without, x, [])
    lost = [[np.isnan(z.numbers.mantissa).any(axis=(-1, -2)) for z in stacks] for stacks in ways]
    assert any(layer.any() for layer in lost[0])
    for with_weights_lost, without_lost in zip(*lost, strict=True):
        np.testing.assert_array_equal(with_weights_lost, without_lost)


N_SIGMAS = 6.5  # |z| beyond it: 8e-11 for each feature, of which there are at most 3,000
"""Two-sided, of normal means: a test of them all fails by chance less than once in 10^6."""


def features(found: Layers) -> tuple[list[str], Array]:
    """Names and numbers of each network, (networks, features), whose means tell a joint law.

    They are ln of the second moment of input 0 and of all inputs in each layer of both passes, and
    the cosine of two inputs; and the squares and products of every two of these.
    """
    columns: dict[str, Array] = {}
    for (quantity, k), z in found.items():
        squares = (z**2).mean(axis=-2)
        with np.errstate(divide="ignore", invalid="ignore"):  # networks in which an input is dead
            columns[f"{quantity} {k}"] = np.log(squares[:, 0])
            if squares.shape[1] > 1:
                columns[f"{quantity} {k}, all"] = np.log(squares.mean(axis=-1))
                inner = (z[..., 0] * z[..., 1]).mean(axis=-1)
                cosine = inner / np.sqrt(squares[:, 0] * squares[:, 1])
                columns[f"{quantity} {k}, cosine"] = cosine
    return list(columns), np.array([*columns.values()]).T


def worst_z(one: Layers, other: Layers) -> tuple[float, str]:
    """The largest |z| over all features, between two samples of networks, and its name."""
    names, a = features(one)
    _, b = features(other)
    alive_a, alive_b = np.isfinite(a).all(axis=-1), np.isfinite(b).all(axis=-1)
    spread = a[alive_a].std(axis=0)
    varied = spread > 1e-6  # others are the same in every network, as a cosine at D_o = 1
    centre = a[alive_a].mean(axis=0)[varied]
    names = [name for name, has in zip(names, varied, strict=True) if has]
    sides, tags = [], [*names]
    for z, alive in ((a, alive_a), (b, alive_b)):
        scaled = (z[alive][:, varied] - centre) / spread[varied]
        i, j = np.triu_indices(len(names))
        sides.append(np.concatenate([scaled, scaled[:, i] * scaled[:, j]], axis=1))
    tags += [f"{names[p]} × {names[q]}" for p, q in zip(i, j, strict=True)]
    variance = sum(side.var(axis=0, ddof=1) / len(side) for side in sides)
    z = (sides[0].mean(axis=0) - sides[1].mean(axis=0)) / np.sqrt(variance)
    share = [alive.mean() for alive in (alive_a, alive_b)]
    dead = (share[0] - share[1]) / np.sqrt(sum(s * (1 - s) / len(a) for s in share) + 1 / len(a))
    z, tags = np.append(z, dead), [*tags, "alive"]
    return float(np.abs(z).max()), tags[int(np.abs(z).argmax())]


WIDE, SQUARE = Case((8, 12, 9, 10, 1), 3), Case((8, 12, 9, 10, 10), 3, "tanh")
LAWS = [
    WIDE,
    Case((8, 12, 9, 10, 1), 1),
    Case((8, 30, 16, 24, 20, 1), 1, "tanh"),
    SQUARE,
    Case((8, 12, 9, 10, 10), 2, "leaky", target=0.5),
    Case((8, 12, 9, 10, 3), 2, "gelu", biased=True, target=0.5),
    Case((8, 12, 9, 10, 3), 3, "tanh", ends_activated=True),
    Case((8, 12, 9, 1), 3, "tanh", gap=1e-4),
    Case((8, 12, 9, 10, 1), 3, "relu", gap=1e-3),
    Case((6, 9, 8, 2), 10, "relu"),
    Case((6, 9, 8, 2), 50, "tanh"),
    Case((30, 24, 30, 1), 10, "leaky"),
]
QUICK, MANY = 2_500, 20_000


@pytest.mark.parametrize("case", slow_but([WIDE, SQUARE], SQUARE), ids=str)
def test_law_is_that_of_formed_weights_quickly(case: Case) -> None:
    z, name = worst_z(with_weights(case, QUICK, 11), without_weights(case, QUICK, 12))
    assert z < N_SIGMAS, name


@pytest.mark.slow
@pytest.mark.parametrize("case", LAWS, ids=str)
def test_law_is_that_of_formed_weights(case: Case) -> None:
    n = 3 * MANY // max(case.n_inputs, 3)
    z, name = worst_z(with_weights(case, n, 21), without_weights(case, n, 22))
    assert z < N_SIGMAS, name


class Fresh(Numbers):
    """Numbers that are others when they are asked for again."""

    def __init__(self, case: Case, n: int, rng: np.random.Generator) -> None:
        super().__init__(case, n, rng)
        self._asked = set[int]()
        self._again = Numbers(case, n, rng)

    def ahead(self, k: int) -> Array:
        if k in self._asked:
            return self._again.ahead(k)
        self._asked.add(k)
        return super().ahead(k)


def adjoint_with(error: str) -> object:
    """`GivenLayer.adjoint` written plainly, with that error; with none it is the same."""

    def adjoint(
        self: GivenLayer, dl_df: Scaled, z: Array, h: Array, span: TriangularRoot, out: Array
    ) -> Exponents:
        q = span.span(h) @ span.inverse
        delta = h if error == "root of another Gram matrix" else dl_df.mantissa
        root = triangular_root(delta).root
        if error == "inputs apart":
            root = np.sqrt((root**2).sum(axis=-2, keepdims=True)) * np.eye(root.shape[-1])
        around = self.normals.back(self.k).swapaxes(-1, -2) @ root
        within = q @ _inner(q, around)
        along = q @ (z @ dl_df.mantissa)
        if error == "nothing taken off":
            within *= 0.0
        if error == "nothing along h":
            along *= 0.0
        out[...] = self.std * (along + around - within)
        return dl_df.exponent

    return adjoint


ERRORS = ["nothing taken off", "nothing along h", "inputs apart", "root of another Gram matrix"]


def test_adjoint_is_the_plain_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that errors in that one are errors in this."""
    found = without_weights(SQUARE, 5, 3)
    monkeypatch.setattr(GivenLayer, "adjoint", adjoint_with("none"))
    for name, z in without_weights(SQUARE, 5, 3).items():
        np.testing.assert_allclose(found[name], z, rtol=0, atol=1e4 * EPS * abs(z).max())


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("case", slow_but([WIDE, SQUARE], WIDE), ids=str)
def test_errors_in_the_way_back_are_found(
    case: Case, error: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = with_weights(case, QUICK, 31)
    monkeypatch.setattr(GivenLayer, "adjoint", adjoint_with(error))
    assert worst_z(expected, without_weights(case, QUICK, 32))[0] > N_SIGMAS


def test_other_numbers_on_the_way_back_are_found() -> None:
    z, _ = worst_z(with_weights(WIDE, QUICK, 41), without_weights(WIDE, QUICK, 42, Fresh))
    assert z > N_SIGMAS
