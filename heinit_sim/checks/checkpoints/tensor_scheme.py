"""Which scheme the weights of a tensor have, by their law, their variance and their mean."""

import math
from functools import cache
from typing import NamedTuple, get_args

from heinit_sim.checks.checkpoints.tensor_law import LAWS, Law, LawFound
from heinit_sim.checks.checkpoints.tensor_layout import Fans
from heinit_sim.checks.checkpoints.tensor_statistics import TensorStatistics
from heinit_sim.errors import ConfigError
from heinit_sim.experiment.initializers import (
    SCHEMES,
    ElementLaw,
    Mode,
    kept_share,
    weight_variance,
)
from heinit_sim.experiment.spelling import correction
from heinit_sim.numerics.p_values import normal_score

NEAREST = (
    *("he_normal", "he_uniform", "xavier_normal", "xavier_uniform", "lecun_normal"),
    *("lecun_uniform", "torch_linear_default", "jax_default", "orthogonal", "zeros", "siren"),
    *("he_normal/truncated_normal", "xavier_normal/truncated_normal"),
    *("he_normal/fan_out", "he_uniform/fan_out", "he_normal/fan_out/truncated_normal"),
)
"""Schemes that weights are held against; of equal ones the first is named first."""
USUAL = tuple(
    f"std={std}{law}"
    for std in ("0.02", "0.01", "0.05", "1")
    for law in ("", "/uniform", "/truncated_normal_uncorrected")
)
"""Standard deviations whatever the fans, held against weights that no scheme agrees with: of GPT-2
and BERT, of AlexNet, of Keras' RandomNormal, of PyTorch's embeddings."""
_NOT_TOLD = ("lsuv", "constant")  # of the data, of any number
_REQUIRED = tuple(
    name
    for name, scheme in SCHEMES.items()
    if scheme.distribution in (*LAWS, "orthogonal") and name not in _NOT_TOLD
)
_MODES: dict[str, Mode] = {mode: mode for mode in get_args(Mode)}
_DISTRIBUTIONS: dict[str, ElementLaw] = {law: law for law in get_args(ElementLaw)}
_LAWS: dict[str, Law] = {law: law for law in LAWS}
_FIXED = ("orthogonal", "zeros", "siren")  # take neither mode nor distribution
_SINE_FREQUENCY = 30.0  # of Sitzmann et al. 2020
_ROUNDED = 1e-3  # of a gain that is not random, of numbers of a few bits


class Scheme(NamedTuple):
    """A scheme by its words, such as "he_normal/fan_out" or "std=0.02/uniform"."""

    text: str
    name: str
    """A key of `SCHEMES`; "" of a standard deviation alone."""
    mode: Mode
    distribution: ElementLaw
    variance: float
    """The square of `std=…`, before an uncorrected cut; 0 of a scheme with a name."""

    @property
    def law(self) -> Law:
        """The law of its weights."""
        if self.name in ("zeros", "orthogonal"):
            return "zeros" if self.name == "zeros" else "orthogonal"
        return _LAWS[self.distribution.removesuffix("_uncorrected")]

    def variances(self, fans: Fans) -> tuple[float, ...]:
        """The second moments that weights of these fans may have: SIREN's differ in layer 0."""
        if not self.name:
            return (self.variance * kept_share(self.distribution),)
        scheme = SCHEMES[self.name]
        if scheme.first is not None:
            later = scheme.scale / (fans.fan_in * _SINE_FREQUENCY**2)
            return scheme.first / fans.fan_in**2, later
        law = "orthogonal" if self.name == "orthogonal" else self.distribution
        shape = fans.fan_in, fans.fan_out, law, fans.taps
        return (weight_variance(scheme.scale, self.mode, *shape),)


@cache
def parse_scheme(text: str) -> Scheme:
    """Take a scheme apart: its name or std=…, then maybe a mode and a distribution.

    Raises:
        ConfigError: It is none.
    """
    name, *words = text.split("/")
    options: list[str] = [*_MODES, *_DISTRIBUTIONS]
    mode: Mode = "fan_in"
    law: ElementLaw = "normal"
    variance = 0.0
    if name.startswith("std="):
        std = _number(name.removeprefix("std="))
        variance = std * std
        if not (std > 0 and 0 < variance < math.inf):
            raise ConfigError([f"not a scheme ({name!r}), must have a number above 0 behind std="])
        name, options = "", [*_DISTRIBUTIONS]
    elif name in _REQUIRED:
        mode = SCHEMES[name].mode
        law = _DISTRIBUTIONS.get(SCHEMES[name].distribution, law)
        options = [] if name in _FIXED else options
    else:
        meant = correction(name, _REQUIRED)
        hint = f"; did you mean {meant!r}?" if meant else ""
        known = f"must be one of {', '.join(_REQUIRED)}, or std=NUMBER"
        raise ConfigError([f"not a scheme that weights tell ({name!r}), {known}{hint}"])
    for word in words:
        if word not in options:
            known = f"must be one of {', '.join(options)}" if options else "must be left out"
            raise ConfigError([f"no option of {text.partition('/')[0]} ({word!r}), {known}"])
        mode, law = _MODES.get(word, mode), _DISTRIBUTIONS.get(word, law)
    return Scheme(text, name, mode, law, variance)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


class Match(NamedTuple):
    """A scheme beside the weights of a tensor."""

    scheme: str
    agrees: bool
    """Whether they may be of it: law, mean and variance."""
    gain: float
    """Their root mean square over that of the scheme; NaN where that is zero."""
    gain_error: float
    """Its standard error."""


def match(
    scheme: Scheme,
    found: TensorStatistics,
    law: LawFound,
    fans: Fans,
    alpha: float,
) -> Match:
    """Hold weights against a scheme.

    Args:
        scheme: The scheme.
        found: What the weights show.
        law: Their law.
        fans: Their fans.
        alpha: How often each of the tests of mean and variance may fail by chance.
    """
    variances = scheme.variances(fans)
    variance = min(variances, key=lambda variance: _distance(found.second_moment, variance))
    if scheme.law == "zeros" or law.law == "zeros":
        return Match(scheme.text, scheme.law == law.law, math.nan, math.nan)
    gain = math.sqrt(found.second_moment / variance)
    agrees = scheme.law in law.possible
    if scheme.law == "orthogonal":
        return Match(scheme.text, agrees and abs(gain - 1) <= _ROUNDED, gain, 0.0)
    own = LAWS.get(scheme.law if agrees else law.law)
    kurtosis = own.excess_kurtosis if own else found.excess_kurtosis
    error = math.sqrt(max(kurtosis + 2, 0.0) / found.n)  # of the second moment, relative
    if math.isnan(kurtosis):  # where nothing varies
        error = 0.0
    if agrees and own:
        score = normal_score((gain**2 - 1) / error, own.square_skewness / math.sqrt(found.n))
        offset = found.mean / math.sqrt(found.second_moment / found.n)
        agrees = min(_two_tails(score), _two_tails(offset)) >= alpha
    return Match(scheme.text, agrees, gain, gain * error / 2)


def nearest(
    found: TensorStatistics, law: LawFound, fans: Fans, alpha: float
) -> tuple[Match, tuple[str, ...]]:
    """The nearest scheme by its variance, and all with which the weights agree.

    The nearest is one of these if there are any: of `NEAREST` rather than of `USUAL`. Else it is
    one of `NEAREST`, of those with the law of the weights if that is known.
    """
    matches = [match(parse_scheme(text), found, law, fans, alpha) for text in NEAREST]
    usual = [match(parse_scheme(text), found, law, fans, alpha) for text in USUAL]
    agreeing, common = ([one for one in few if one.agrees] for few in (matches, usual))
    alike = [one for one in matches if parse_scheme(one.scheme).law == law.law]
    best = min(
        agreeing or common or alike or matches,
        key=lambda one: round(_distance(one.gain, 1.0), 9),  # the first of those that are equal
    )
    return best, tuple(one.scheme for one in (*agreeing, *common))


def _distance(one: float, other: float) -> float:
    """How far two numbers are apart, in factors; one of zero, or NaN, is farther than any."""
    return abs(math.log(one / other)) if one > 0 and other > 0 else 1e9


def _two_tails(z: float) -> float:
    """P(|Z| ≥ |z|) of a standard normal number."""
    return math.erfc(abs(z) / math.sqrt(2))
