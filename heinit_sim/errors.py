"""Errors that a user can mend: one line each, and the exit code it ends with."""


class HeinitSimError(Exception):
    """Base of every error that is the user's to mend; its text is what the command prints."""

    exit_code = 1

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


class ConfigError(HeinitSimError):
    """A config or an option is wrong; one line per problem, all of them at once."""

    exit_code = 2

    def __init__(self, problems: list[str]) -> None:
        super().__init__(*problems)
        self.problems = problems


class DataError(HeinitSimError):
    """A data set cannot be used as inputs."""

    exit_code = 2


class CheckpointError(HeinitSimError):
    """A checkpoint cannot be read, or holds nothing that the command could go by."""

    exit_code = 2


class RunDirectoryError(HeinitSimError):
    """A run directory is not what the command needs: missing, incomplete, or already full."""

    exit_code = 2


class WriteError(HeinitSimError):
    """The results could not be written; what was there before is as it was."""


class WorkerError(HeinitSimError):
    """A worker of another process or machine cannot do its part; what is done is kept."""


class CheckFailed(HeinitSimError):  # noqa: N818  # nothing went wrong: the answer is no
    """A check did not hold; a line for each thing that did not, and one for all."""

    exit_code = 3
