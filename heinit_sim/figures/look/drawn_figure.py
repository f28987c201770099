"""A figure that is saved and shown as it was drawn, whatever a user's settings are."""

import os
from contextlib import nullcontext
from io import BytesIO
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from heinit_sim.figures.look.indexed_png import BACKEND
from heinit_sim.figures.look.lean_fonts import lean_fonts
from heinit_sim.figures.look.sheet import under

# Format -> metadata without a date: the same figure gives the same bytes.
METADATA: dict[str, dict[str, None]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
_PIXELS = 2  # on a screen of high resolution, for each of a notebook's


class DrawnFigure(Figure):
    """A figure of matplotlib's that keeps the settings it was made under."""

    def __init__(self, *args: Any, **options: Any) -> None:
        """Make it as any other figure."""
        super().__init__(*args, **options)
        settings = dict.items(matplotlib.rcParams)  # as they are: asked for, a backend is chosen
        self._settings: dict[Any, Any] = {key: v for key, v in settings if key != "backend"}

    def savefig(self, fname: Any, **options: Any) -> None:
        """Save the figure: the same bytes each time, at the resolution its config asks for.

        A PNG has a palette where 256 colours are enough, see `indexed_png`.

        Args:
            fname: Path, or a file that is open for bytes.
            options: As of any other figure.
        """
        name = os.fspath(fname) if isinstance(fname, str | os.PathLike) else ""
        suffix = str(options.get("format") or str(name).rpartition(".")[2]).lower()
        options = {"metadata": METADATA.get(suffix)} | options
        if suffix == "png":
            options = {"backend": BACKEND} | options
        with under(self._settings), lean_fonts() if suffix == "pdf" else nullcontext():
            super().savefig(fname, **options)

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        """Return the picture for a notebook, and its size there."""
        buffer, (width, height) = BytesIO(), 72 * self.get_size_inches()
        self.savefig(buffer, format="png", dpi=72 * _PIXELS)
        return buffer.getvalue(), {"width": round(width), "height": round(height)}
