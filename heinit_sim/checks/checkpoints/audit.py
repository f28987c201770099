"""The tensors of a checkpoint against the schemes of initialisation."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from heinit_sim.checks.checkpoints.tensor_chain import Chain, longest_chain
from heinit_sim.checks.checkpoints.tensor_law import TESTS, LawFound, find_law
from heinit_sim.checks.checkpoints.tensor_layout import Fans, Layout, Place, as_matrix, fans, places
from heinit_sim.checks.checkpoints.tensor_scheme import Match, Scheme, match, nearest
from heinit_sim.checks.checkpoints.tensor_statistics import TensorStatistics, statistics
from heinit_sim.experiment.tensors import EPSILON, Checkpoint, Tensor
from heinit_sim.theory.infinite_width.gains import Gains

Role = Literal["weights", "vector", "scalar", "empty", "integer", "unsupported"]


@dataclass(frozen=True)
class TensorAudit:
    """A tensor's kind, its statistics and, if it is weights, its law and its schemes."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    role: Role
    """Weights have two dimensions or more; biases and the gains of norms are vectors."""
    found: TensorStatistics | None = None
    """None where the tensor is empty or holds no real numbers."""
    place: Place | None = None
    fans: Fans | None = None
    law: LawFound | None = None
    """None where it is not weights, or some, or their squares, are not finite."""
    nearest: Match | None = None
    agreeing: tuple[str, ...] = ()
    """All schemes that the weights may be of, of those that they are held against."""
    required: Match | None = None
    """Beside the scheme that is asked for."""
    forward: float = math.nan
    """fan_in E[w²] E[a²]: by what the weights and the activation multiply E[h²], at pre-activations
    of variance 1; at any variance, where the activation is positively homogeneous."""
    backward: float = math.nan
    """fan_out E[w²] E[a'²]: by what they multiply that of gradients."""

    @property
    def is_finite(self) -> bool:
        """Whether all of its numbers are."""
        return self.found is None or not self.found.n_not_finite


@dataclass(frozen=True)
class Audit:
    """The tensors of a checkpoint beside the schemes, and the level of the tests."""

    tensors: tuple[TensorAudit, ...]
    framework: str | None
    activation: str
    level: float
    """How often a correct checkpoint may fail, all of its weights together."""
    alpha: float
    """How often one test of one tensor may fail."""
    required: str | None
    chain: Chain | None
    """The longest chain of finite weights; None if no two follow one another."""

    @property
    def weights(self) -> list[TensorAudit]:
        """The tensors that are judged."""
        return [tensor for tensor in self.tensors if tensor.role == "weights"]

    @property
    def failed(self) -> list[str]:
        """Names of the weights that are not of the scheme that is asked for."""
        if self.required is None:
            return []
        return [w.name for w in self.weights if w.required is None or not w.required.agrees]


def audit(
    checkpoint: Checkpoint,
    gains: Gains,
    level: float,
    layout: Layout | None = None,
    required: Scheme | None = None,
) -> Audit:
    """Read the tensors of a checkpoint, one at a time, and hold weights against schemes.

    Args:
        checkpoint: An open one.
        gains: Of the activation behind its layers.
        level: How often weights that are of a scheme may be found not to be, by chance, over all
            tests of all weights together (Bonferroni).
        layout: Of all of its weights, if it is known.
        required: A scheme that each of them is held against.

    Raises:
        CheckpointError: It is damaged.
    """
    tensors = checkpoint.tensors
    placed = places(tensors, checkpoint.framework, layout)
    n_weights = sum(_role(tensor) == "weights" for tensor in tensors)
    alpha = level / (TESTS * max(n_weights, 1))
    audited = tuple(_audited(tensor, placed, gains, alpha, required) for tensor in tensors)
    chained = {
        one.name: one.fans for one in audited if one.role == "weights" and one.fans and one.law
    }
    asked = required.text if required else None
    chain = longest_chain(chained)
    return Audit(audited, checkpoint.framework, gains.activation, level, alpha, asked, chain)


def _role(tensor: Tensor) -> Role:
    if tensor.kind != "real":
        return tensor.kind
    if not tensor.size:
        return "empty"
    return "weights" if len(tensor.shape) > 1 else "vector" if tensor.shape else "scalar"


def _audited(
    tensor: Tensor,
    placed: Mapping[str, Place],
    gains: Gains,
    alpha: float,
    required: Scheme | None,
) -> TensorAudit:
    role = _role(tensor)
    one = TensorAudit(tensor.name, tensor.shape, tensor.dtype, role)
    if role in ("vector", "scalar"):
        return replace(one, found=statistics(tensor))
    if role != "weights":
        return one
    place = placed[tensor.name]
    own = fans(tensor.shape, place.layout)
    found = statistics(tensor, as_matrix(tensor.shape, place.layout))
    one = replace(one, found=found, place=place, fans=own)
    if not math.isfinite(found.second_moment):  # of numbers that are not, or of their squares
        return one
    law = find_law(found, EPSILON[tensor.dtype], alpha)
    near, agreeing = nearest(found, law, own, alpha)
    return replace(
        one,
        law=law,
        nearest=near,
        agreeing=agreeing,
        required=match(required, found, law, own, alpha) if required else None,
        forward=own.fan_in * found.second_moment * gains.second_moment,
        backward=own.fan_out * found.second_moment * gains.slope,
    )
