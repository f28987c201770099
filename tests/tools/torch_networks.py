"""Random networks of rows of steps against PyTorch: `python -m tests.tools.torch_networks [count]`.

A config is made at random and read twice: by the program, and word by word by a few lines of
PyTorch, with the same random numbers, which takes the loss in float64, its gradients by f_k, h_k
and all weights, input by input, the Jacobian of the first input, and what `.grad` of weights and
biases holds when the mean of the loss over the inputs has gone back; one step of `torch.optim` then
moves all layers. Second moments and variances of all quantities, network by network, must agree to
1e-12, what the step changes, a difference of two passes, to 1e-9, or to ten times what the last
digits of x move; twins are networks that differ in one thing, and must be found. Every step, and
every option of it, must be in ten networks or more. Run it where torch is installed.
"""

import importlib.util
import itertools
import json
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from heinit_sim.config import parse_config
from heinit_sim.experiment.quantities import (
    BATCH_PASS_OF,
    EVERY_PASS_OF,
    UPDATE_PASS_OF,
    Measure,
    Quantity,
)
from heinit_sim.experiment.records import Output
from heinit_sim.experiment.steps import (
    Activate,
    Add,
    Attention,
    Dropout,
    Gate,
    Norm,
    Step,
    Weights,
    changed,
    with_spec,
)
from heinit_sim.experiment.sweep_config import Loss
from heinit_sim.sampling.streams import (
    DrawnMasks,
    sample_biases,
    sample_classes,
    sample_inputs,
    sample_probes,
    sample_weights,
)
from heinit_sim.simulation.directions import biases_of
from heinit_sim.simulation.measure import Judge, Measured, measure
from heinit_sim.simulation.plan import NetworkPass, plan_passes

Array = np.ndarray
Given = dict[str, Any]
SEED, N_NETWORKS, TOLERANCE, LEAST = 0, 2, 1e-12, 10
UPDATE_TOLERANCE = 1e-9
ADAM_TOLERANCE = 1e-6
"""Of gradients that are 0 but for rounding, as before a batch norm, which Adam divides by ε."""
EPS = 2.0**-52
SECOND_MOMENT: Output = "log10_jacobian_second_moment"
ROUNDING = 2.0**-80  # of a sum that is 0, beside the squares of its terms
LEVELS: dict[Measure, Measure] = {
    ("grad_weight_batch", "second_moment"): ("grad_weight", "second_moment"),
    ("grad_bias_batch", "second_moment"): ("grad_preactivation", "second_moment"),
}
WEIGHTED = "weights", "gate", "attention"
ACTIVATIONS = "relu", "tanh", "silu", "sigmoid", "gelu", "selu"
LEAKY = {"name": "leaky_relu", "negative_slope": 0.2}
SINE = {"name": "sin", "frequency": 0.7}
TARGET = 0.3
LOSSES: list[Given] = [{"target": TARGET}, {"name": "cross_entropy"}, {"name": "probe"}]
LOSS: Any = ("loss", "mean")
JACOBIAN: Any = ("jacobian", "sums of singular values")
MIXING = {"norm batch", "attention", "attention, causal"}
INITS: list[Given] = [
    {"scheme": "he_normal"},
    {"scheme": "xavier_uniform", "bias": 0.1, "bias_variance": 0.2},
    {"variance": "1.5/fan_in", "mean": "0.2/fan_in"},
]
OWN_INITS: list[Given] = [
    {"scheme": "zeros"},
    {"scheme": "lecun_normal"},
    {"variance": "1/(depth*fan_in)", "distribution": "uniform"},
]


def main(count: int = 100) -> int:
    """Print a line per network; 1 if its moments are not autograd's, or a twin is not found."""
    if not importlib.util.find_spec("torch"):
        print("torch is not installed")
        return 1
    failed, seen, worst, chaotic, worst_step = list[str](), Counter[str](), 0.0, 0, 0.0
    for seed in range(count):
        config = random_config(np.random.default_rng(seed))
        (network_pass,) = plan_passes(parse_config(json.dumps(config)))
        expected, ours = _torch(network_pass, config), _ours(network_pass)
        nudged = _ours(network_pass, nudge=EPS)
        off, moved = _distance(ours, expected), _distance(nudged, ours)
        step = _distance(ours, expected, of_step=True)
        taken_out = {"norm batch", "optimiser adam"} <= {*words_of(config)}
        least = ADAM_TOLERANCE if taken_out else UPDATE_TOLERANCE
        step_tolerance = max(least, 10 * _distance(nudged, ours, of_step=True))
        tolerance = max(TOLERANCE, 10 * moved)  # of networks that the last digit of x moves far
        twins = {
            name: replace(network_pass, layers=changed(network_pass.layers, change))
            for name, change in TWINS.items()
        }
        other = Loss(target=(1 + 1e-9) * network_pass.loss.target)
        twins["loss"] = replace(network_pass, loss=other)
        planted = {name: twin for name, twin in twins.items() if twin != network_pass}
        missed = [
            name
            for name, twin in planted.items()
            if not _distance(_ours(network_pass, twin), expected) > tolerance
        ]
        assert network_pass.update is not None
        faster = [(1 + 1e-3) * rate for rate in network_pass.update.rates]
        twin = replace(network_pass, update=network_pass.update._replace(rates=tuple(faster)))
        found = _distance(_ours(network_pass, twin), expected, of_step=True) > step_tolerance
        missed += ["rate"] * (not found)
        held = off < tolerance and step < step_tolerance and not missed
        seen.update({*words_of(config), *(f"twin: {name}" for name in planted)})
        worst, chaotic = max(worst, off), chaotic + (tolerance > TOLERANCE)
        worst_step = max(worst_step, step)
        text = f"off by {off:.1e}, a step by {step:.1e}, {len(planted)} twins"
        text += f", missed {missed}" * bool(missed)
        print(f"{seed:4} {text}{'' if held else f'  <- {json.dumps(config)}'}")
        if not held:
            failed.append(str(seed))
    for word in sorted({*seen, *WORDS}):
        few = word in WORDS and seen[word] < LEAST
        failed += [f"{word} in {seen[word]}"] * few
        print(f"{seen[word]:5} networks have {word}{'  <-' if few else ''}")
    print(f"largest relative difference of a moment: {worst:.1e}; {chaotic} allowed more")
    print(f"largest relative difference of what a step changes: {worst_step:.1e}")
    print(f"not held: {'; '.join(failed)}" if failed else "all held, and no twin did")
    return int(bool(failed))


# Random configs -----------------------------------------------------------------------------------

WORDS = (
    *("kind cnn", "kind dense", "weights", "activation", "dropout", "gate", "gate expand", "add"),
    *("activation of the step", "norm layer", "norm rms", "norm batch", "attention, causal"),
    *("attention", "add scale", "add skip", "add of each block", "weights expand", "weights init"),
    *("weights kernel, even", "weights stride", "weights groups", "padding circular", "stages"),
    *("padding zero", "readout mean", "readout flatten", "activation of the output", "biases"),
    *("loss least_squares", "loss cross_entropy", "loss probe", "jacobian"),
    *("optimiser sgd", "optimiser adam", "rate of biases"),
)
"""Whatever is to be in networks, as `words_of` names it."""


def random_config(rng: np.random.Generator) -> Given:
    """A network of some steps."""
    cnn, staged = rng.random() < 0.45, rng.random() < 0.35
    network: Given = {"kind": "cnn" if cnn else "dense", "output_dim": 3}
    network["activation"] = _one(rng, *ACTIVATIONS, "relu", LEAKY, SINE)
    inputs: Given = {"count": 6} if cnn else {"count": 2, "tokens": 3}
    least = 5
    if cnn:
        network |= {"image": _one(rng, [5], [6, 5]), "kernel": 3, "channels": 4}
        network |= {"input_channels": 4, "padding": _one(rng, "zero", "circular")}
        network["readout"] = _one(rng, "flatten", "mean")
    else:
        network |= {"width": 12, "input_dim": 6}
    stem: list[Any] = [_weights(rng, cnn=cnn, least=least, groups=(1, 2))]
    if cnn and rng.random() < 0.5:
        stem, least = [{"weights": {"kernel": _one(rng, 2, 3, 4), "stride": 2}}], 3
    stem += _some(rng, "activation", _norm(rng), {"dropout": {"rate": 0.3}})
    network |= {"stem": stem} if rng.random() < 0.6 or least < 5 else {}
    if staged:
        stages = list[Given]()
        for _ in range(rng.integers(2, 4)):
            repeat = int(rng.integers(1, 3))
            stages.append({"repeat": repeat, "block": _block(rng, repeat, cnn=cnn, least=least)})
        if cnn and "stem" in network:
            down = [*_some(rng, _norm(rng)), {"weights": {"stride": 2, "kernel": 2}}, "activation"]
            stages.insert(1, {"block": down})
            for stage in stages[2:]:
                stage["block"] = _block(rng, int(stage.get("repeat", 1)), cnn=True, least=2)
            network["channels"] = [4] + [8] * (len(stages) - 1)
        network["block"] = stages
    else:
        n_blocks = int(rng.integers(1, 4))
        block = _block(rng, n_blocks, cnn=cnn, least=least)
        stem_too = "stem" in network or any("add" in word for word in map(_word, block))
        network |= {"depth": n_blocks + stem_too, "block": block}
    head: list[Any] = [*_some(rng, _norm(rng), "activation"), "weights"]
    network["head"] = head + _some(rng, {"activation": _one(rng, "selu", "silu", SINE)})
    init = INITS[rng.integers(len(INITS))]
    update: Given = {"learning_rate": _one(rng, 0.01, "0.1/fan_in", "0.002*width/depth")}
    update["optimiser"] = _one(rng, "sgd", "adam")
    if rng.random() < 0.5:
        update["biases"] = 0.003
    record: Given = {"batch_gradient": True, "update": update}
    given = {"name": "a", "network": network, "init": init, "inputs": inputs}
    given |= {"loss": _one(rng, *LOSSES), "record": record}
    if not MIXING.intersection(words_of(given)):
        record["jacobian"] = True
    return given


def _one(rng: np.random.Generator, *values: Any) -> Any:
    return values[rng.integers(len(values))]


def _some(rng: np.random.Generator, *steps: Any) -> list[Any]:
    return [step for step in steps if rng.random() < 0.35]


def _norm(rng: np.random.Generator) -> Given:
    return {"norm": {"kind": _one(rng, "layer", "rms", "batch")}}


def _word(step: str | Given) -> str:
    return step if isinstance(step, str) else next(iter(step))


def _weights(rng: np.random.Generator, *, cnn: bool, least: int, groups: Sequence[int]) -> Given:
    given: Given = {}
    if cnn:
        given["kernel"] = int(rng.integers(1, min(4, 2 * least - 1) + 1))
        given["groups"] = int(_one(rng, *groups))
    if rng.random() < 0.3:
        given["init"] = OWN_INITS[rng.integers(1, len(OWN_INITS))]
    return {"weights": given}


def _block(rng: np.random.Generator, repeat: int, *, cnn: bool, least: int) -> list[Any]:
    """One or two branches, maybe added to what enters them."""
    steps: list[Any] = []
    for _ in range(rng.integers(1, 3)):
        activation = _one(rng, "activation", "activation", {"activation": _one(rng, LEAKY, "silu")})
        single = _weights(rng, cnn=cnn, least=least, groups=(1, 2, 4))
        wide = {"weights": {"expand": _one(rng, *([2, 3] if cnn else [0.5, 2]))}}
        gate = {"gate": {"expand": 2} | ({} if rng.random() < 0.5 else {"activation": "tanh"})}
        branches = [[wide, activation, single], [gate, single], [activation, single]]
        branches += [["gate", activation, single]]
        if not cnn:
            attention: Given = {"heads": _one(rng, 1, 2, 3), "causal": bool(rng.random() < 0.5)}
            branches += [[{"attention": attention}, single]] * 3
        branch = [
            *_some(rng, _norm(rng), {"dropout": {"rate": 0.3}}),
            *_one(rng, *branches),
            *_some(rng, _norm(rng), {"dropout": {"rate": 0.2}}, activation),
        ]
        if rng.random() < 0.65:
            if branch[-1] is single and rng.random() < 0.25:  # else nothing shows what is before
                single["weights"]["init"] = OWN_INITS[0]
            add: Given = {}
            if rng.random() < 0.6:
                each = [round(float(x), 3) for x in rng.uniform(-1, 1, repeat)]
                add["scale"] = _one(rng, 0.5, "1/sqrt(2*depth)", "2/sqrt(width)", each, each)
            if rng.random() < 0.4:
                add["skip"] = _one(rng, 0.7, -1.5, "(2*depth)**(1/4)")
            branch.append({"add": add} if add else "add")
        steps += branch
    return steps


def words_of(config: Given) -> Iterator[str]:
    """All that is in a network, by the words of `WORDS`."""
    network = config["network"]
    for key in ("kind", "padding", "readout"):
        if key in network:
            yield f"{key} {network[key]}"
    if "bias" in config["init"]:
        yield "biases"
        if "biases" in config["record"]["update"]:
            yield "rate of biases"
    yield f"optimiser {config['record']['update']['optimiser']}"
    yield f"loss {config['loss'].get('name', 'least_squares')}"
    if config["record"].get("jacobian"):
        yield "jacobian"
    if isinstance(network["head"][-1], dict) and "activation" in network["head"][-1]:
        yield "activation of the output"
    rows = [network.get("stem", []), network["head"]]
    staged = "block" in network["block"][0]
    if staged:
        yield "stages"
    rows += [stage["block"] for stage in network["block"]] if staged else [network["block"]]
    for step in itertools.chain(*rows):
        word, given = _word(step), {} if isinstance(step, str) else step[_word(step)]
        match word:
            case "norm":
                yield f"norm {given['kind']}"
            case "attention":
                yield "attention, causal" if given["causal"] else "attention"
            case "activation":
                yield "activation of the step" if given else word
            case _:
                yield word
        if word == "add" and any(isinstance(factor, list) for factor in given.values()):
            yield "add of each block"
        if word in ("add", "gate", "weights"):
            yield from (f"{word} {option}" for option in given if option != "kernel")
        if word == "weights" and given.get("kernel", 1) % 2 == 0:
            yield "weights kernel, even"


# Twins --------------------------------------------------------------------------------------------


def _other_padding(step: Step) -> Step:
    if not isinstance(step, Weights) or step.window is None or step.window.kernel == 1:
        return step
    other: Any = "zero" if step.window.padding == "circular" else "circular"
    return step._replace(window=step.window._replace(padding=other))


def _wider(step: Step) -> Step:
    return with_spec(step, lambda s: s._replace(weight_variance=(1 + 2e-9) * s.weight_variance))


def _of_kind(kind: type[Any], change: Callable[[Any], Step]) -> Callable[[Step], Step]:
    return lambda step: change(step) if isinstance(step, kind) else step


TWINS: dict[str, Callable[[Step], Step]] = {
    "other padding": _other_padding,
    "σ": _wider,
    "slopes": _of_kind(Activate, lambda s: Activate("tanh" if s.function != "tanh" else "selu")),
    "norm": _of_kind(Norm, lambda s: s._replace(kind="rms" if s.kind != "rms" else "layer")),
    "gate": _of_kind(Gate, lambda s: s._replace(activation=Activate("linear"))),
    "rate": _of_kind(Dropout, lambda s: Dropout(s.rate / 2)),
    "causal": _of_kind(Attention, lambda s: s._replace(causal=not s.causal)),
    "heads": _of_kind(Attention, lambda s: s._replace(heads=4 if s.heads != 4 else 2)),
    "scale": _of_kind(Add, lambda s: s._replace(scale=(1 + 1e-9) * s.scale)),
    "skip": _of_kind(Add, lambda s: s._replace(skip=(1 + 1e-9) * s.skip)),
}


def _ours(of: NetworkPass, twin: NetworkPass | None = None, nudge: float = 0.0) -> Measured:
    """What the twin measures on the weights of the network, on inputs that are nudged."""
    draws, trials = of.draws, range(N_NETWORKS)
    weights, x = sample_weights(SEED, draws, trials, []), sample_inputs(SEED, draws, trials)
    x *= 1 + nudge * np.random.default_rng(SEED).choice([-1, 1], x.shape)
    twin = twin or of
    biases = biases_of([twin], sample_biases(SEED, draws, trials))
    judge = Judge(sample_classes(SEED, draws, trials), sample_probes(SEED, draws, trials))
    masks = DrawnMasks(SEED, draws, trials)
    (found,) = measure([twin], weights, x, biases, masks, judge)
    others = {LOSS: np.nan_to_num(found.outputs["log10_loss"])}  # NaN of a probe
    if twin.record.jacobian:
        squares = twin.widths[0] * twin.widths[-1] * 10 ** found.outputs[SECOND_MOMENT][:, 0]
        others[JACOBIAN] = _sums(squares, 10 ** found.outputs["log10_singular_values"])
    return {**found.networks, **others}


def _sums(squares: Array, singular_values: Array) -> Array:
    """log10 of numbers of Jacobians that all of their digits are kept of, (networks, 3)."""
    sums = squares, singular_values[:, 0], (singular_values**4).sum(axis=1)
    with np.errstate(divide="ignore"):
        log10: Array = np.log10(np.stack(sums, axis=1))
    return log10


def _distance(found: Measured, expected: Measured, *, of_step: bool = False) -> float:
    """The largest relative difference of two moments; none of what is zero in both.

    Of what a step changes, or of all else. A share s that is left of the gradients of inputs has an
    error of 1/√s of theirs.
    """
    gaps = []
    for name, log10 in expected.items():
        if (name[0] in UPDATE_PASS_OF) is not of_step:
            continue
        with np.errstate(invalid="ignore"):
            gap = np.where(found[name] == log10, 0.0, np.abs(found[name] - log10))
        if name in LEVELS:
            left = np.minimum(log10 - expected[LEVELS[name]], 0.0)
            gap *= np.where(gap < 1, 10 ** (left / 2), 1.0)
        gaps.append(float(gap.max()))
    return max(gaps) * math.log(10)


# PyTorch ------------------------------------------------------------------------------------------


def _torch(of: NetworkPass, config: Given) -> Measured:
    """log10 of second moments and variances by autograd, each (n_networks, K+1)."""
    draws, trials = of.draws, range(N_NETWORKS)
    weights, x = sample_weights(SEED, draws, trials, []), sample_inputs(SEED, draws, trials)
    betas, masks = sample_biases(SEED, draws, trials), DrawnMasks(SEED, draws, trials)
    classes, probes = sample_classes(SEED, draws, trials), sample_probes(SEED, draws, trials)
    moments: dict[Measure, list[list[float]]] = {}
    jacobians: list[Array] = []
    for trial in trials:
        network = _Network(
            config,
            iter([weights[place][trial] for place in range(len(draws.shapes))]),
            iter([beta[trial] for beta in betas]),
            [masks[place][trial] for place in range(len(draws.dropped))],
        )
        layers_of, loss, jacobian = network.layers(x[trial], classes[trial], probes[trial])
        moments.setdefault(LOSS, []).append([loss])
        jacobians.append(jacobian)
        for quantity, layers in layers_of.items():
            squares = [float(np.mean(layer**2)) for layer in layers]
            moments.setdefault((quantity, "second_moment"), []).append(squares)
            if quantity in BATCH_PASS_OF or quantity in UPDATE_PASS_OF:
                continue
            variances = [float(np.var(layer)) for layer in layers]
            moments.setdefault((quantity, "variance"), []).append(variances)
    assert {quantity for quantity, _ in moments if quantity != LOSS[0]} == set(EVERY_PASS_OF)
    with np.errstate(divide="ignore"):
        expected = {measure: np.log10(found) for measure, found in moments.items()}
    if of.record.jacobian:
        both = np.array(jacobians)
        values = np.linalg.svd(both, compute_uv=False)
        expected[JACOBIAN] = _sums((both**2).sum(axis=(1, 2)), values)
    return expected


class _Network:
    """A config word by word; signals are (inputs, units) or (inputs, channels, *image)."""

    def __init__(
        self,
        config: Given,
        weights: Iterator[Array],
        betas: Iterator[Array],
        masks: Sequence[Array],
    ) -> None:
        import torch  # type: ignore[import-not-found,unused-ignore]  # only where it is installed

        self.torch: Any = torch
        self.network, self.init, self.inputs = config["network"], config["init"], config["inputs"]
        self.loss, self.update = config["loss"], config["record"]["update"]
        self.cnn = self.network["kind"] == "cnn"
        self.weights, self.betas, self.every_mask = weights, betas, masks
        self.rates: list[tuple[float, float]] = []
        self.trained: Iterator[tuple[Any, Any]] | None = None
        self.omegas: list[list[Any]] = []
        self.betas_of: list[list[Any]] = []
        self.leaves: list[list[tuple[Any, Any]]] = []

    def rows(self) -> list[tuple[list[Any], int, int, int]]:
        """Steps, units, and place among the blocks of their kind, with D_{K+1} last."""
        network = self.network
        units = network["channels" if self.cnn else "width"]
        stages = network["block"]
        if "block" not in stages[0]:
            stages = [{"block": stages}]
        adds = any(_word(step) == "add" for stage in stages for step in stage["block"])
        each = units if isinstance(units, list) else [units] * len(stages)
        stem = network.get("stem", ["weights"] if adds else None)
        rows = [] if stem is None else [(stem, each[0], each[0], 0)]
        for stage, width in zip(stages, each, strict=True):
            repeat = (
                stage.get("repeat", 1) if "depth" not in network else network["depth"] - len(rows)
            )
            rows += [(stage["block"], width, width, block) for block in range(repeat)]
        return [*rows, (network["head"], network["output_dim"], each[-1], 0)]

    def layers(
        self, x: Array, classes: Array, probes: Array
    ) -> tuple[Mapping[Quantity, list[Array]], float, Array]:
        """All quantities of the layers 0 … K of one network, (inputs, …), its loss and Jacobian."""
        torch = self.torch
        fs, hs, z = self.forward(x)
        match self.loss.get("name"):
            case "cross_entropy":
                cross_entropy = torch.nn.functional.cross_entropy
                loss = cross_entropy(z, torch.tensor(classes), reduction="sum")
            case "probe":
                loss = (torch.tensor(probes.T) * z).sum()
            case _:
                loss = ((z - TARGET) ** 2).sum()
        mean = 1.0 if self.loss.get("name") == "probe" else float(loss.detach()) / len(z)
        flat = [copies for own in (*self.omegas, *self.betas_of) for copies in own]
        wanted = [*fs, *hs, *flat]
        by_input = torch.autograd.grad(loss, wanted, retain_graph=True)
        gradients = iter(g.numpy() for g in by_input)
        rows_of = (torch.autograd.grad(f, hs[0], retain_graph=True)[0][0] for f in z[0])
        jacobian = np.array([row.numpy().ravel() for row in rows_of])
        (loss / x.shape[1]).backward()
        quantities: dict[Quantity, list[Array]] = {
            "preactivation": [layer.detach().numpy() for layer in fs],
            "activation": [layer.detach().numpy() for layer in hs],
            "grad_preactivation": [next(gradients) for _ in fs],
            "grad_activation": [next(gradients) for _ in hs],
            "grad_weight": [
                np.concatenate([next(gradients).ravel() for _ in own]) for own in self.omegas
            ],
            "grad_weight_batch": [
                np.concatenate([omega.grad.numpy().ravel() for omega, _ in own])
                for own in self.leaves
            ],
            "grad_bias_batch": [
                np.concatenate([_above_rounding(beta.grad, next(gradients)) for _, beta in own])
                for own in self.leaves
            ],
        }
        self.take_step()
        moved = dict(zip(("preactivation", "activation"), self.forward(x)[:2], strict=True))
        for name, layers in moved.items():
            before: list[Array] = quantities[name]  # type: ignore[index]  # one of the two
            after = [layer.detach().numpy() for layer in layers]
            gaps = [one - other for one, other in zip(after, before, strict=True)]
            quantities[f"{name}_update"] = gaps  # type: ignore[index]  # a name of them
        return quantities, mean, jacobian

    def forward(self, x: Array) -> tuple[list[Any], list[Any], Any]:
        """All f_k and h_k, and what the loss sees."""
        torch, rows = self.torch, self.rows()
        self.depth, self.masks = len(rows) - 1, iter(self.every_mask)
        shape = (self.network.get("input_channels"), *self.network["image"]) if self.cnn else (-1,)
        z = torch.tensor(x.T.reshape(x.shape[1], *shape), requires_grad=True)
        fs, hs = [], []
        for k, (steps, width, base, block) in enumerate(rows):
            hs.append(z)
            for listed in (self.omegas, self.betas_of, self.leaves):
                listed.append([])
            self.width, self.base, self.block = width, base, block
            f, z = self.row(steps, z, is_head=k == self.depth)
            fs.append(f)
        return fs, hs, z

    def take_step(self) -> None:
        """One step of PyTorch's optimiser; biases are trained where there are any."""
        pairs, groups = [pair for own in self.leaves for pair in own], []
        for (omega, beta), (rate, bias_rate) in zip(pairs, self.rates, strict=True):
            groups.append({"params": [omega], "lr": rate})
            groups += [{"params": [beta], "lr": bias_rate}] * ("bias" in self.init)
        optimisers = {"sgd": self.torch.optim.SGD, "adam": self.torch.optim.Adam}
        optimisers[self.update["optimiser"]](groups, lr=0.0).step()
        self.trained = iter(pairs)

    def row(self, steps: list[Any], h: Any, *, is_head: bool) -> tuple[Any, Any]:
        """f_k and h_{k+1}."""
        places = [place for place, step in enumerate(steps) if _word(step) in WEIGHTED]
        entered = z = f = h
        for place, step in enumerate(steps):
            word, given = _word(step), {} if isinstance(step, str) else step[_word(step)]
            if is_head and place == places[0] and self.cnn:
                pooled = self.network["readout"] == "mean"
                entered = z = z.flatten(2).mean(dim=2) if pooled else z.flatten(1)
            if word == "add":
                skip, scale = (self.factor(given.get(name, 1.0)) for name in ("skip", "scale"))
                entered = z = skip * entered + scale * z
                continue
            count = self.width if place == places[-1] else self.base
            z = self.step(word, given, z, round(count * self.expand(given)))
            f = z if place == places[-1] else f
        return f, z

    def expand(self, given: Any) -> float:
        return float(given.get("expand", 1)) if isinstance(given, dict) else 1.0

    def factor(self, given: Any) -> float:
        """A number, arithmetic, or the one of the block."""
        number = given[self.block] if isinstance(given, list) else given
        return float(eval(str(number), {"sqrt": math.sqrt}, self.names()))

    def names(self) -> dict[str, float]:
        return {"depth": self.depth, "width": self.width}

    def step(self, word: str, given: Any, z: Any, count: int) -> Any:
        functional, n = self.torch.nn.functional, len(z)
        match word:
            case "weights":
                return self.weigh(z, count, given, given.get("init"))
            case "activation":
                return self.activate(given or self.network["activation"], z)
            case "gate":
                u, v = self.weigh(z, count, {}, None), self.weigh(z, count, {}, None)
                return self.activate(given.get("activation", self.network["activation"]), u) * v
            case "attention":
                heads, tokens = given["heads"], self.inputs["tokens"]
                parts = [
                    self.weigh(z, self.base, {}, None)
                    .reshape(n // tokens, tokens, heads, self.base // heads)
                    .transpose(1, 2)
                    for _ in range(3)
                ]
                attended = functional.scaled_dot_product_attention(
                    *parts, is_causal=given["causal"]
                )
                return attended.transpose(1, 2).reshape(n, self.base)
            case "dropout":
                mask = self.torch.tensor(next(self.masks).T).reshape(z.shape)
                return z * (mask >= given["rate"]) / (1 - given["rate"])
        kind, found = given["kind"], self.torch.zeros_like(z)
        if kind == "batch":  # PyTorch makes NaN of what has no spread
            alive = z.detach().transpose(0, 1).flatten(1).std(dim=1) > 0
            found[:, alive] = functional.batch_norm(
                z[:, alive], None, None, training=True, eps=1e-300
            )
        else:
            apply = functional.layer_norm if kind == "layer" else functional.rms_norm
            alive = (z.detach() != 0).flatten(1).any(dim=1)
            found[alive] = apply(z[alive], z.shape[1:], eps=0.0)
        return found

    def activate(self, given: Any, z: Any) -> Any:
        torch, functional = self.torch, self.torch.nn.functional
        name = given if isinstance(given, str) else given["name"]
        if name == "leaky_relu":
            return functional.leaky_relu(z, given["negative_slope"])
        if name == "sin":
            return torch.sin(given["frequency"] * z)
        return getattr(torch if hasattr(torch, name) else functional, name)(z)

    def weigh(self, z: Any, count: int, given: Given, own: Given | None) -> Any:
        """β + Ω z, with weights of its own for each input, which are all the same."""
        torch, functional = self.torch, self.torch.nn.functional
        n, c_in, *image = z.shape
        groups, kernel = given.get("groups", 1), given.get("kernel", self.network.get("kernel"))
        taps = kernel ** len(image) if image else 1
        fans = taps * c_in // groups, taps * count // groups
        if self.trained is None:
            drawn, beta = next(self.weights), next(self.betas)
            bias, std = self.init.get("bias", 0.0), math.sqrt(self.init.get("bias_variance", 0.0))
            beta = torch.tensor(bias + std * beta[:, 0], requires_grad=True)
            omega = self.law(self.init if own is None else own, fans, drawn)
            if image:
                omega = np.moveaxis(omega.reshape(count, *[kernel] * len(image), -1), -1, 1)
            omega = torch.tensor(omega, requires_grad=True)
            rates = (self.update.get(key) for key in ("learning_rate", "biases"))
            names = self.names() | {"fan_in": fans[0]}
            each = [None if r is None else float(eval(str(r), {}, names)) for r in rates]
            self.rates.append((each[0] or 0.0, each[-1] or each[0] or 0.0))
        else:
            omega, beta = next(self.trained)
        betas = torch.stack([beta] * n)
        copies = torch.stack([omega] * n)
        self.omegas[-1].append(copies)
        self.betas_of[-1].append(betas)
        self.leaves[-1].append((omega, beta))
        betas = betas.reshape(n, -1, *[1] * len(image))
        if not image:
            return torch.einsum("noi,ni->no", copies, z) + betas
        mode = "circular" if self.network["padding"] == "circular" else "constant"
        padded = functional.pad(z, [(kernel - 1) // 2, kernel // 2] * len(image), mode=mode)
        convolve = functional.conv1d if len(image) == 1 else functional.conv2d
        stride = given.get("stride", 1)
        pairs = zip(padded.split(1), copies, strict=True)
        made = [convolve(one, omega, stride=stride, groups=groups) for one, omega in pairs]
        return torch.cat(made) + betas

    def law(self, init: Given, fans: tuple[int, int], drawn: Array) -> Array:
        """Weights of an init from numbers of variance 1."""
        names = self.names() | {"fan_in": fans[0]}
        variances = {"he_normal": 2 / fans[0], "lecun_normal": 1 / fans[0], "zeros": 0.0}
        variances["xavier_uniform"] = 2 / sum(fans)
        if "variance" in init:
            variance = eval(init["variance"], {}, names)
        else:
            variance = variances[init["scheme"]]
        mean = float(eval(init.get("mean", "0"), {}, names))
        return np.asarray(math.sqrt(variance) * drawn + mean)


def _above_rounding(gradient: Any, by_input: Array) -> Array:
    """A gradient by biases; 0 where those of the inputs cancel, as before a norm over the batch."""
    squares = float((gradient**2).mean()), float((by_input**2).mean())
    found: Array = gradient.numpy() * (squares[0] > ROUNDING * squares[1])
    return found


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
