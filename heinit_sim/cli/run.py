"""The command `run`: configs in, their run directories out."""

import os
import shlex
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from heinit_sim.cli import console, interrupts, options
from heinit_sim.cli.compute import compute, on_processes, seconds_of
from heinit_sim.cli.finish import Request, finish
from heinit_sim.errors import ConfigError, RunDirectoryError
from heinit_sim.experiment.shard import Shard, parse_shard

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence, Set

    from heinit_sim.config import Overrides
    from heinit_sim.experiment.sweep_config import SweepConfig
    from heinit_sim.runs import TaskFiles
    from heinit_sim.simulation import Simulated, Task

_KEPT_FROM = 5.0
"""Seconds from which on a run keeps its finished tasks: a shorter one is soon done again."""


def run(
    configs: Annotated[
        list[str],
        typer.Argument(
            metavar="CONFIG", help="YAML files, manifest.json of a run, or - for stdin."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Run directory; default outputs/<name>."),
    ] = None,
    sets: options.SetOption = None,
    seed: options.SeedOption = None,
    trials: options.TrialsOption = None,
    jobs: options.JobsOption = None,
    force: options.ForceOption = False,
    dry_run: Annotated[
        bool, typer.Option("-n", "--dry-run", help="Say what would be done and what it takes.")
    ] = False,
    quiet: options.QuietOption = False,
    json_: options.JsonOption = False,
    plots: options.PlotsOption = True,
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard",
            metavar="I/N|auto",
            help="Compute part I of N alone, for `merge`; auto, or auto/N, asks the scheduler.",
        ),
    ] = None,
    dask: Annotated[
        str | None,
        typer.Option(
            "--dask",
            metavar="ADDRESS|FILE|local",
            help="Compute on the workers of a Dask scheduler; local starts -j of them here.",
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Then check it; exit 3 if something does not hold.")
    ] = False,
    require: options.RequireOption = None,
    alpha: options.AlphaOption = None,
    junit: options.JunitOption = None,
) -> None:
    """Simulate configs, print their summaries and write their runs.

    A directory that holds this very run is up to date: it is read, and nothing is written but a
    figure that it lacks. A run of more than a few seconds keeps what is done of it: stopped, it
    goes on where it was when it is given again.
    """
    with options.errors():
        part = None if shard is None else parse_shard(shard, os.environ)
        if not check:
            options.refuse(junit, "--junit", "there is nothing to write without --check")
            options.refuse(alpha, "--alpha", "there is nothing to check without --check")
            options.refuse(require, "--require", "there is nothing to check without --check")
        if part:
            options.refuse(check, "--check", "a shard is no whole run; check what merge writes")
        if len(configs) > 1:
            options.refuse(out, "--out", "one directory for several configs; leave it out")
            options.refuse(junit, "--junit", "one file for several configs; give one config")
        overrides = options.overrides(sets, seed=seed, trials=trials)
        sweep_configs = _loaded(configs, overrides, quiet=quiet)
        for sweep_config in sweep_configs if plots else ():
            options.check_look(sweep_config)

        from heinit_sim import simulation

        address = simulation.dask_address(dask) if dask is not None else None
        elsewhere = address not in (None, simulation.LOCAL)
        if elsewhere:
            options.refuse(jobs, "--jobs", "Dask's workers are as many as there are; leave it out")
        request = Request(
            out=out,
            jobs=None if elsewhere else jobs or simulation.usable_cpus(),
            force=force,
            quiet=quiet,
            json_=json_,
            plots=plots,
            dry_run=dry_run,
            shard=part,
            dask=address,
            check=check,
            require=require,
            alpha=alpha,
            junit=junit,
        )
        documents: list[Mapping[str, object]] = []
        codes = []
        for source, sweep_config in zip(configs, sweep_configs, strict=True):
            if sweep_config is not sweep_configs[0] and not (quiet or json_ or part):
                console.tell("")
            try:
                _run_one(sweep_config, source, request, documents)
            except options.FAILURES as error:  # the other configs run all the same
                of = f"{sweep_config.name}: " * (len(configs) > 1)
                codes.append(options.say_error(error, of))
        if json_ and len(configs) > 1:
            console.print_document({"runs": documents})
        elif documents:
            console.print_document(documents[0])
        if codes:
            sys.stdout.flush()
            raise typer.Exit(min(codes))  # 1 failed, 2 refused, 3 a check did not hold


def _loaded(
    sources: "Sequence[str]", overrides: "Overrides", *, quiet: bool
) -> "list[SweepConfig]":
    """The configs, of which none runs before all are known to be right.

    Raises:
        ConfigError: One is wrong, or two would write one directory; all problems of all of them.
    """
    configs: list[SweepConfig] = []
    problems: list[str] = []
    if sources.count("-") > 1:
        raise ConfigError(["-: error: stdin is read once; give - once"])
    for source in sources:
        try:
            configs.append(options.load_config(source, overrides, quiet=quiet))
        except ConfigError as error:
            problems += error.problems
    names = [config.name for config in configs]
    for name in sorted({name for name in names if names.count(name) > 1}):
        problems.append(f"run: error: {names.count(name)} configs are named {name}; rename one")
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))  # that of --set once, not once a config
    return configs


def _run_one(
    config: "SweepConfig", source: str, request: Request, documents: "list[Mapping[str, object]]"
) -> None:
    """Simulate one config, or say what that would do.

    Args:
        config: The config.
        source: Its path, or "-".
        request: The options.
        documents: Takes what `--json` prints of it.

    Raises:
        HeinitSimError: The directory holds other results or tasks, or see `finish`.
    """
    from heinit_sim import runs, simulation

    interrupts.hint("")
    directory = request.out or Path("outputs") / config.name
    if request.junit is not None:
        runs.check_file(request.junit, "--junit", directory)
    difference = "" if request.force else runs.difference(directory, config)
    files = runs.TaskFiles(directory, config)
    if difference is None:
        if request.dry_run:
            lacks = request.plots and not runs.has_figure(directory, config)
            redrawn = runs.redrawn_files(directory, config) if lacks else ()
            _show_plan(config, directory, request, documents, redrawn, up_to_date=True)
        elif request.shard:
            _say_shard(f"{directory} is up to date", directory, 0, request, documents)
        else:
            finish(config, None, directory, source, request, documents)
        return
    written = runs.run_files(config, plots=request.plots)
    try:
        runs.check_target(directory, written, force=request.force, difference=difference)
        if not request.force:
            files.require_alone(
                "finish that run with the config.yaml there, or give --force to discard them, or "
                "another --out"
            )
    except RunDirectoryError as error:
        if request.dry_run:
            _show_plan(config, directory, request, documents, written, refusal=str(error))
        raise
    if request.dry_run:
        _show_plan(config, directory, request, documents, written)
        return
    if request.force:
        files.discard(others=True)
    else:
        simulation.require_memory(config, request.jobs or 1)
    if config.engine == "conditional" and not request.quiet:
        seconds = simulation.estimate(config, request.jobs or 1).seconds
        gain = simulation.gain_without_weights(config, request.jobs or 1)
        if seconds > _KEPT_FROM and (advice := console.engine_advice(config, gain)):
            console.say(f"{config.name}: {advice}")
    tasks = simulation.task_list(config)
    if request.shard:
        _run_shard(config, directory, files, tasks, request, documents)
        return
    with closing(_tasks_done(config, directory, files, tasks, request)) as done:
        finish(config, done, directory, source, request, documents)


def _tasks_done(
    config: "SweepConfig",
    directory: Path,
    files: "TaskFiles",
    tasks: "Sequence[Task]",
    request: Request,
) -> "Generator[Simulated, None, None]":
    """Simulate tasks; if that takes long they are kept, and those that are kept are not done again.

    Raises:
        WriteError: They cannot be kept.
    """
    kept = files.numbers().intersection(task.number for task in tasks)
    keeps = _keeps(config, tasks, kept, request)
    hint = f"{directory} keeps the tasks that are done, and the same command goes on"

    def begin() -> None:
        if keeps:
            files.begin()
            interrupts.hint(hint)

    def computed(left: "list[Task]") -> "Generator[Simulated, None, None]":
        if kept and not request.quiet:
            damaged = len(kept.intersection(task.number for task in left))
            done = f"goes on, {len(tasks) - len(left)} of {len(tasks)} tasks are done"
            done += f"; {damaged} damaged, done again" * bool(damaged)
            all_done = f"all {len(tasks)} tasks were done before"
            console.say(f"{directory}: {done if left else all_done}")
        return compute(
            *(config, left, tasks, request.jobs),
            quiet=request.quiet,
            dask=request.dask,
            begin=begin,
        )

    if not keeps:
        return computed(list(tasks))
    interrupts.hint(hint if kept else "")
    return files.resume(tasks, computed, request.shard.count if request.shard else 1)


def _keeps(
    config: "SweepConfig", tasks: "Sequence[Task]", kept: "Set[int]", request: Request
) -> bool:
    """Whether tasks are kept that are done: of all but short runs, where some are, and by Dask."""
    always = bool(kept or request.shard or request.dask)
    return always or seconds_of(config, tasks, request.jobs or 1) >= _KEPT_FROM


def _workers(config: "SweepConfig", left: "Sequence[Task]", request: Request) -> str:
    """Whoever would do the tasks, in the plural."""
    if request.dask:
        return "workers of Dask" + f" at {request.dask}" * (request.jobs is None)
    return "processes" if on_processes(config, left, request.jobs or 1) else "threads"


def _part(tasks: "Sequence[Task]", shard: Shard | None) -> "Sequence[Task]":
    """The tasks of a shard, or all."""
    if shard is None:
        return tasks
    return [task for task in tasks if Shard.of(task.number, shard.count) == shard]


def _run_shard(
    config: "SweepConfig",
    directory: Path,
    files: "TaskFiles",
    tasks: "Sequence[Task]",
    request: Request,
    documents: "list[Mapping[str, object]]",
) -> None:
    """Simulate and keep the tasks of one shard, but those that are kept already."""
    part = _part(tasks, request.shard)
    for _ in _tasks_done(config, directory, files, part, request):
        pass
    interrupts.hint("")
    done = f"shard {request.shard} of {directory}: {len(part)} of {len(tasks)} tasks"
    merge = f"`heinit-sim merge {shlex.quote(str(directory))}` puts all together"
    _say_shard(f"{done}; {merge}", directory, len(part), request, documents)


def _say_shard(
    text: str,
    directory: Path,
    n_tasks: int,
    request: Request,
    documents: "list[Mapping[str, object]]",
) -> None:
    if request.json_:
        facts = {"directory": str(directory), "shard": str(request.shard), "tasks": n_tasks}
        documents.append(facts)
    if not request.quiet:
        console.say(text)


def _show_plan(
    config: "SweepConfig",
    directory: Path,
    request: Request,
    documents: "list[Mapping[str, object]]",
    files: "Sequence[str]",
    *,
    up_to_date: bool = False,
    refusal: str = "",
) -> None:
    """Say what `run` would do, with the files that it would write."""
    from heinit_sim import runs, simulation

    tasks = _part(simulation.task_list(config), request.shard)
    kept = runs.TaskFiles(directory, config).numbers().intersection(t.number for t in tasks)
    left = [task for task in tasks if task.number not in kept]
    plan = console.plan_document(
        *(config, directory, request.jobs),
        tasks=tasks,
        left=left,
        workers=_workers(config, left, request),
        keeps=_keeps(config, tasks, kept, request),
        shard=request.shard,
        up_to_date=up_to_date,
        files=[runs.TASKS] if request.shard and not up_to_date else files,
        refusal=refusal,
        alpha=(request.alpha or options.ALPHA) if request.check else None,
        junit=request.junit,
    )
    if request.json_:
        documents.append(plan)
    else:
        console.print_plan(config, plan)
