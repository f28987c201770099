"""PNG files of at most 256 colours, a quarter as large, where that shifts no colour visibly.

A backend of matplotlib's, for `savefig(…, backend=BACKEND)`.
"""

from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.image import imsave
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from heinit_sim.figures.look.few_colors import few_colors

BACKEND = f"module://{__name__}"


class FigureCanvas(FigureCanvasAgg):
    """A canvas that saves PNG files with a palette, or in true colour where one is too small."""

    def print_png(
        self,
        filename_or_obj: Any,
        *,
        metadata: dict[str, str | None] | None = None,
        pil_kwargs: dict[str, Any] | None = None,
        **_others: Any,
    ) -> None:
        """Draw the figure and save it; see `FigureCanvasAgg.print_png`.

        Args:
            filename_or_obj: Path, or a file that is open for bytes.
            metadata: Keys and texts in the file; without a text of "Software" matplotlib's name.
            pil_kwargs: Options of Pillow's; with any of them the file has true colour.
            _others: Options of other formats.
        """
        self.draw()  # type: ignore[no-untyped-call]  # matplotlib
        pixels = np.asarray(self.buffer_rgba())  # type: ignore[no-untyped-call]  # matplotlib
        image = None if pil_kwargs else indexed(pixels)
        dpi = self.figure.dpi
        if image is None:
            own: dict[str, Any] = {"metadata": metadata, "pil_kwargs": pil_kwargs}
            imsave(filename_or_obj, pixels, format="png", origin="upper", dpi=dpi, **own)
            return
        software = f"Matplotlib version{matplotlib.__version__}, https://matplotlib.org/"
        info = PngInfo()
        for key, text in ({"Software": software} | (metadata or {})).items():
            if text is not None:
                info.add_text(key, text)
        image.save(filename_or_obj, format="png", dpi=(dpi, dpi), pnginfo=info)


def indexed(pixels: NDArray[np.uint8]) -> Image.Image | None:
    """Return a picture, RGBA of shape (rows, columns, 4), with a palette; None where it needs more.

    No channel of a pixel moves by more than `few_colors.ERROR`.
    """
    reduced = few_colors(pixels)
    if reduced is None:
        return None
    palette, indices = reduced
    image = Image.fromarray(indices, "P")
    opaque = bool((palette[:, 3] == 255).all())
    image.putpalette((palette[:, :3] if opaque else palette).tobytes(), "RGB" if opaque else "RGBA")
    return image
