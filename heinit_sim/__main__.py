"""`python -m heinit_sim` and the `heinit-sim` command."""

from heinit_sim.cli import app


def main() -> None:
    """Run the command line."""
    app(prog_name="heinit-sim")


if __name__ == "__main__":
    main()
