"""A `SweepConfig` becomes a `SweepResult`: plan of passes, blocks of trials, threads."""
