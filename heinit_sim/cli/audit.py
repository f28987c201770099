"""The command on weights that are there already: `audit`."""

import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from heinit_sim.cli import console, options
from heinit_sim.errors import CheckFailed, CheckpointError, ConfigError
from heinit_sim.experiment.activation_table import ALIASES, DEFAULT_ACTIVATION, TABLE
from heinit_sim.experiment.labels import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from heinit_sim.checks.checkpoints.audit import Audit
    from heinit_sim.experiment.tensors import Checkpoint

_NAMED = 10  # the most names that a line has
_PIPED = 10_000  # characters of a line through a pipe, which has room for all columns


def audit(
    checkpoint: Annotated[
        Path, typer.Argument(metavar="FILE", help="Checkpoint, .safetensors or .npz.")
    ],
    activation: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Activation of the layers, for what weights do over depth.",
            autocompletion=lambda: [*TABLE, *ALIASES],
        ),
    ] = DEFAULT_ACTIVATION,
    require: Annotated[
        str | None,
        typer.Option(
            metavar="SCHEME",
            help="Exit 3 unless all weights are of it: he_normal, he_normal/fan_out, "
            "he_normal/truncated_normal, std=0.02, …",
        ),
    ] = None,
    write_config: Annotated[
        Path | None,
        typer.Option(
            metavar="CONFIG", help="Write the config of a plain network with these weights' laws."
        ),
    ] = None,
    force: Annotated[bool, typer.Option("-f", "--force", help="Replace that config.")] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="GLOB",
            help="Read only tensors of such names; those of the first --only come first.",
        ),
    ] = None,
    layout: Annotated[
        Literal["auto", "out_in", "in_out"],
        typer.Option(
            help="out_in: (out, in), OIHW, as PyTorch; in_out: (in, out), HWIO, as Keras and Flax."
        ),
    ] = "auto",
    alpha: Annotated[
        float | None,
        typer.Option(
            "--alpha",
            metavar="A",
            help="How often weights of a scheme may be found not to be, by chance, all tests of "
            f"all tensors together; default: {options.ALPHA:g}.",
            callback=options.probability,
        ),
    ] = None,
    form: options.FormatOption = None,
    json_: options.JsonOption = False,
) -> None:
    """Hold the weights of a checkpoint against the schemes of initialisation.

    Nothing in the file is executed, and one tensor is read at a time. Biases and gains of norms are
    listed, not judged. Laws are told by Kolmogorov's test and by likelihood.
    """
    with options.errors():
        from heinit_sim import reports, runs
        from heinit_sim.checks.checkpoints.audit import audit as audited
        from heinit_sim.checks.checkpoints.tensor_scheme import parse_scheme
        from heinit_sim.theory.infinite_width.gains import gains_of

        asked = options.table_format(form, json_=json_)
        with options.refusals_of("--activation: error"):
            gains = gains_of(activation)
        with options.refusals_of("--require: error"):
            required = parse_scheme(require) if require is not None else None
        if write_config is None:
            options.refuse(force, "--force", "there is nothing to replace without --write-config")
        else:
            runs.check_file(write_config, "--write-config")
            same = (
                write_config.exists() and checkpoint.exists() and checkpoint.samefile(write_config)
            )
            options.refuse(same, "--write-config", f"{write_config} is the checkpoint itself")
            if write_config.exists() and not force:
                raise ConfigError([f"{write_config}: exists; give --force to replace it"])
        with runs.open_checkpoint(checkpoint) as opened:
            chosen = _chosen(opened, only, checkpoint)
            told = None if layout == "auto" else layout
            found = audited(chosen, gains, alpha or options.ALPHA, told, required)
        if write_config is not None:
            _write_config(found, checkpoint, write_config)
        rows = reports.audit.audit_rows(found)
        source = str(checkpoint)
        document = reports.audit.to_audit_document(found, source)
        width = console.columns(piped=_PIPED) if asked == "table" else _PIPED
        console.print_report(
            asked,
            lambda: [reports.audit.to_audit_table(found, source, width)],
            rows,
            document,
        )
        for tensor in found.tensors:
            if tensor.found and tensor.found.n_not_finite:
                count = f"{tensor.found.n_not_finite} of {tensor.found.n}"
                console.say(f"{checkpoint}: {tensor.name}: {count} numbers not finite")
        if found.required and not found.weights:
            raise CheckFailed(f"audit: no weights that could be of {found.required}")
        if failed := found.failed:
            count = f"{len(failed)} of {len(found.weights)} weight tensors are not"
            raise CheckFailed(f"audit: {count} of {found.required}: {_few(failed)}")


def _chosen(opened: "Checkpoint", globs: "Sequence[str] | None", path: Path) -> "Checkpoint":
    """The tensors whose names match, in the order of the patterns that they match.

    Raises:
        CheckpointError: None does.
    """
    if not globs:
        return opened
    chosen = {
        tensor.name: tensor
        for glob in globs
        for tensor in opened.tensors
        if fnmatchcase(tensor.name, glob)
    }
    if not chosen:
        raise CheckpointError(f"{path}: no tensor has such a name ({', '.join(globs)})")
    return opened._replace(tensors=tuple(chosen.values()))


def _write_config(found: "Audit", checkpoint: Path, target: Path) -> None:
    """Write the config of the longest chain of the weights, once it is seen to be one.

    Raises:
        CheckpointError: There is none, or no config can have it.
    """
    from heinit_sim import reports, runs
    from heinit_sim.config import parse_config

    chain = found.chain
    if chain is None:
        why = "no two weight tensors follow one another, in the order of the file"
        raise CheckpointError(f"--write-config: error: {why}; --layout or --only may help")
    text = reports.audit_config.to_config_text(found, chain, str(checkpoint))
    try:
        parse_config(text, str(target))
    except ConfigError as error:
        reasons = [re.sub(r"^.*?: error: ", "", problem) for problem in error.problems]
        why = f"no config can have these weights: {reasons[0]}"
        raise CheckpointError(f"--write-config: error: {why}") from None
    runs.put_text(target, text, "--write-config")
    console.say(f"Wrote {target}: {len(chain.names)} layers; now: heinit-sim run {target}")
    biases = {weights.place.bias for weights in found.weights if weights.place}
    vectors = [one.name for one in found.tensors if one.role == "vector" and one.name not in biases]
    if vectors:
        console.say(
            f"a plain chain: norms and whatever else has these is not in it: {_few(vectors)}"
        )
    if chain.left_out:
        count = f"{len(chain.left_out)} of {len(found.weights)} weight tensors"
        console.say(f"left out, as they do not follow: {count}: {_few(chain.left_out)}")


def _few(names: "Sequence[str]") -> str:
    """The first names, and how many more there are."""
    more = f", … and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(map(printable, names[:_NAMED])) + more
