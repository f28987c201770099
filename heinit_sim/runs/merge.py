"""The tasks of one run brought together from the directories of its shards."""

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from heinit_sim.errors import RunDirectoryError
from heinit_sim.experiment.shard import Shard
from heinit_sim.runs.task_files import TaskFiles, require_tasks, unfinished_config
from heinit_sim.simulation import Simulated, Task, task_list

_NAMED = 10
"""Most tasks and commands that are named."""


class Parts:
    """The finished tasks of one run, wherever they are."""

    def __init__(self, directories: Sequence[Path]) -> None:
        """Find the tasks, and refuse what does not belong together.

        Args:
            directories: Run directories, each with some tasks; the first says of which run.

        Raises:
            RunDirectoryError: One holds no tasks, or tasks of another config or version.
            ConfigError: The config of the tasks cannot be read.
        """
        self._directories = directories
        self.config = unfinished_config(directories[0])
        self._files = [TaskFiles(directory, self.config) for directory in directories]
        for directory, files in zip(directories, self._files, strict=True):
            require_tasks(directory)
            files.require_alone("merge the shards of one run at a time")

    def tasks(self) -> Iterator[Simulated]:
        """Yield all tasks of the run.

        Raises:
            RunDirectoryError: One is of another run; or, at the end, some are missing or damaged:
                the message has the commands that make them.
        """
        tasks, missing = task_list(self.config), []
        for task in tasks:
            read = (files.read(task) for files in self._files)
            found = next((done for done in read if done is not None), None)
            if found is None:
                missing.append(task)
            else:
                yield found
        if missing:
            raise RunDirectoryError(*self._missing(missing, len(tasks)))

    def _missing(self, missing: Sequence[Task], count: int) -> Iterator[str]:
        """Which tasks are missing, in words, and the commands that make them."""
        directory, files = self._directories[0], self._files[0]
        numbers = ", ".join(str(task.number) for task in missing[:_NAMED])
        more = ", …" * (len(missing) > _NAMED)
        state = f"{'is' if len(missing) == 1 else 'are'} missing or damaged ({numbers}{more})"
        yield f"{directory}: {len(missing)} of {count} tasks {state}; run"
        config, out = (shlex.quote(str(path)) for path in (files.config_path, directory))
        cuts = set().union(*(f.n_shards() for f in self._files))
        n_shards = cuts.pop() if len(cuts) == 1 else 1  # else whatever makes all of them
        shards = dict.fromkeys(Shard.of(task.number, n_shards) for task in missing)
        for shard in list(shards)[:_NAMED]:
            option = f" --shard {shard}" * (n_shards > 1)
            yield f"  heinit-sim run {config}{option} --out {out}"
        if len(shards) > _NAMED:
            yield f"  … and {len(shards) - _NAMED} more shards"
