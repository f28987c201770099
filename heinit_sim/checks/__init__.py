"""Whether a result is as expected, as theory says, and as another run."""
