"""A row of steps of an infinitely wide network: the maps of its steps, one after the other."""

from typing import NamedTuple

import numpy as np

from heinit_sim.activations import activation_of
from heinit_sim.experiment.activation_table import Activation
from heinit_sim.experiment.steps import (
    Activate,
    Add,
    Attention,
    Dropout,
    Gate,
    Norm,
    Pool,
    Row,
    Step,
    Weights,
    activates_in,
    place_of_f,
    weights_in,
)
from heinit_sim.theory.infinite_width.signals import Gradient, Signal, WeightGradient
from heinit_sim.theory.infinite_width.steps import (
    activation,
    add,
    attention,
    dropout,
    gate,
    norm,
    pool,
    weights,
)
from heinit_sim.theory.infinite_width.steps.activation import Activated
from heinit_sim.theory.infinite_width.steps.gate import Gated
from heinit_sim.theory.infinite_width.steps.norm import Batch, Normed
from heinit_sim.theory.infinite_width.steps.weights import WeightLaw, law_of

Made = Signal | Activated | Normed | Gated
"""Result of a step, with all that its way back needs."""


class Bound(NamedTuple):
    """A step with all that its maps need beside signals."""

    step: Step
    laws: tuple[WeightLaw, ...]  # of its weights
    activation: Activation | None
    first: int  # place of the first step of its branch


class Way(NamedTuple):
    """A row of steps that signals may pass."""

    steps: tuple[Bound, ...]
    place_of_f: int  # of f_k among the signals


def way_of(row: Row, variance: float | None = None) -> Way:
    """The way through a row; with another σ²_Ω of all its weights, if one is given."""
    steps, first = list[Bound](), 0
    for place, step in enumerate(row):
        laws = tuple(
            law_of(matrix, matrix.spec.weight_variance if variance is None else variance)
            for matrix in weights_in(step)
        )
        steps.append(Bound(step, laws, next(map(activation_of, activates_in(step)), None), first))
        if isinstance(step, Add):
            first = place + 1
    return Way(tuple(steps), place_of_f(row) + 1)


class Passed(NamedTuple):
    """A way that a signal has passed."""

    way: Way
    signals: tuple[Signal, ...]  # before each step, and behind the last
    made: tuple[Made, ...]  # by each step


def forward(way: Way, z: Signal, batch: Batch) -> Passed:
    """The signals of a row, from what enters on."""
    signals, made = [z], list[Made]()
    for place, bound in enumerate(way.steps):
        if isinstance(bound.step, Add):
            fresh = any(inner.laws for inner in way.steps[bound.first : place])
            thing: Made = add.forward(bound.step, signals[bound.first], z, fresh=fresh)
        else:
            thing = _forward(bound, z, batch)
        z = thing if isinstance(thing, Signal) else thing.after
        signals.append(z)
        made.append(thing)
    return Passed(way, tuple(signals), tuple(made))


def _forward(bound: Bound, z: Signal, batch: Batch) -> Made:
    step, laws, a, _ = bound
    match step:
        case Weights():
            return weights.forward(z, laws[0])
        case Activate() if a:
            return activation.forward(a, z)
        case Norm():
            return norm.forward(step, z, batch)
        case Gate() if a:
            return gate.forward(a, z, (laws[0], laws[1]))
        case Dropout():
            return dropout.forward(step, z)
        case Attention():
            return attention.forward(step, z, laws[2])
        case Pool():
            return pool.forward(step, z)
        case _:
            raise TypeError(step)


class OfWeights(NamedTuple):
    """The two whose outer product is the gradient of a matrix."""

    df: Gradient  # of what the matrix makes
    z: Signal  # what it is given
    weights: Weights


class Returned(NamedTuple):
    """A way that a gradient has come back."""

    gradients: tuple[Gradient, ...]  # before each step, and behind the last
    of_weights: tuple[OfWeights, ...]  # of each matrix, in no order

    @property
    def weights(self) -> WeightGradient:
        """The gradient of one input by all weights."""
        with np.errstate(divide="ignore", invalid="ignore"):  # as in `mean_field`
            return weights.mean_gradient([weights.gradient_of(*given) for given in self.of_weights])


def back(passed: Passed, gradient: Gradient, batch: Batch) -> Returned:
    """The gradients of a row, from what it ends with to what it begins with.

    Args:
        passed: The way there.
        gradient: Of what the row ends with.
        batch: The inputs.
    """
    gradients, matrices = [gradient], list[OfWeights]()
    waiting: Gradient | None = None  # of what entered, past a branch
    start = 0  # of that branch
    signals = passed.signals
    for place in range(len(passed.made) - 1, -1, -1):
        bound, z, after = passed.way.steps[place], *signals[place : place + 2]
        if isinstance(bound.step, Add):
            start = bound.first
            waiting, gradient = add.split(bound.step, gradient, after, signals[start], z)
        else:
            gradient, of_weights = _back(bound, gradient, z, passed.made[place], after, batch)
            for df, matrix in zip(of_weights, weights_in(bound.step), strict=True):
                matrices.append(OfWeights(df, z, matrix))
        if waiting is not None and place == start:
            gradient, waiting = add.join(waiting, gradient, z), None
        gradients.append(gradient)
    return Returned(tuple(gradients[::-1]), tuple(matrices))


def _back(
    bound: Bound, gradient: Gradient, z: Signal, made: Made, after: Signal, batch: Batch
) -> tuple[Gradient, tuple[Gradient, ...]]:
    """∂ℓ/∂z of what enters a step, and of what each of its weights make."""
    step, laws, a, _ = bound
    match step:
        case Weights():
            return weights.back(gradient, after, z, laws[0]), (gradient,)
        case Activate() if a and isinstance(made, Activated):
            return activation.back(a, gradient, made, z), ()
        case Norm() if isinstance(made, Normed):
            return norm.back(step, gradient, z, made, batch), ()
        case Gate() if a and isinstance(made, Gated):
            return gate.back(a, gradient, z, made, (laws[0], laws[1]))
        case Dropout():
            return dropout.back(step, gradient, z), ()
        case Attention():
            return attention.back(step, gradient, after, z, laws[2])
        case Pool():
            return pool.back(step, gradient, z), ()
        case _:
            raise TypeError(step)
