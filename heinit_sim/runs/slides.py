"""A figure as slides: a picture on each, with a text for those who cannot see it and notes."""

import importlib.util
import io
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from heinit_sim.errors import ConfigError
from heinit_sim.runs.figure_files import NAME

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from heinit_sim.figures import Step

WIDTH, HEIGHT = 12_192_000, 6_858_000  # of a slide, 16:9, in EMU: 914 400 to the inch
_PIXELS = 10_000  # EMU that a picture may lack, rounded to whole pixels
_BLANK = 6  # layout of the library's template
_EPOCH = datetime(1980, 1, 1, tzinfo=UTC)  # the earliest that a ZIP file can tell


def require_slides() -> None:
    """See that python-pptx is there.

    Raises:
        ConfigError: It is not installed.
    """
    if importlib.util.find_spec("pptx") is None:
        install = "pip install 'heinit-sim[slides]' brings it"
        raise ConfigError([f"--format: error: pptx needs python-pptx, not installed; {install}"])


def write_slides(
    figure: "Figure", steps: "Sequence[Step]", directory: Path, *, command: str
) -> tuple[str, ...]:
    """Write a slide of 16:9 for each step: the same bytes for the same figure and notes.

    Args:
        figure: The figure, as large on the slide as its shape allows.
        steps: Its steps, of which the last shows all of it.
        directory: Where the file goes.
        command: What made it, for the notes.

    Returns:
        The name of its file.
    """
    from matplotlib.colors import to_hex, to_rgba
    from pptx import Presentation
    from pptx.dml.color import RGBColor

    from heinit_sim.figures import showing

    titles = [ax.get_title(loc) for ax in figure.axes for loc in ("left", "right")]
    panels = ", ".join(" ".join(title.split()) for title in titles if title)
    slides: Any = Presentation()
    color: Any = RGBColor
    _widen(slides)
    for number, step in enumerate(steps):
        place = f"Step {number} of {len(steps) - 1}: {step.text}. " if len(steps) > 1 else ""
        said = f"{panels}. {place}{figure.get_label()}"
        slide = slides.slides.add_slide(slides.slide_layouts[_BLANK])
        if to_rgba(figure.get_facecolor())[3]:
            fill, ground = slide.background.fill, to_hex(figure.get_facecolor())
            fill.solid()
            fill.fore_color.rgb = color(*bytes.fromhex(ground[1:]))
        buffer = io.BytesIO()
        with showing(steps, step):
            figure.savefig(buffer, format="png")
        _fit(slide.shapes.add_picture(buffer, 0, 0), said)
        slide.notes_slide.notes_text_frame.text = f"{said}\n{command}"
    name = f"{NAME}-builds.pptx" if len(steps) > 1 else f"{NAME}.pptx"
    about = slides.core_properties
    about.author = about.last_modified_by = "heinit-sim"
    about.title, about.created, about.modified, about.revision = NAME, _EPOCH, _EPOCH, 1
    buffer = io.BytesIO()
    slides.save(buffer)
    _without_times(buffer, directory / name)
    return (name,)


def _widen(slides: Any) -> None:
    """Make the library's template, which is 4:3, one of 16:9."""
    wider = WIDTH / slides.slide_width
    taller = HEIGHT / slides.slide_height
    slides.slide_width, slides.slide_height = WIDTH, HEIGHT
    for sheet in (slides.slide_master, *slides.slide_layouts):
        for shape in sheet.placeholders:
            shape.left, shape.width = round(shape.left * wider), round(shape.width * wider)
            shape.top, shape.height = round(shape.top * taller), round(shape.height * taller)


def _fit(picture: Any, text: str) -> None:
    """Make a picture as large as the slide allows, in its middle, and describe it."""
    share = min(WIDTH / picture.width, HEIGHT / picture.height)
    size = round(picture.width * share), round(picture.height * share)
    wide, high = (WIDTH - size[0] < _PIXELS, HEIGHT - size[1] < _PIXELS)  # not by a strip
    picture.width, picture.height = WIDTH if wide else size[0], HEIGHT if high else size[1]
    picture.left, picture.top = (WIDTH - picture.width) // 2, (HEIGHT - picture.height) // 2
    picture.name = "Figure"
    picture._element.nvPicPr.cNvPr.set("descr", text)


def _without_times(archive: io.BytesIO, path: Path) -> None:
    """Write a ZIP file again, without the time at which each of its parts was written."""
    with zipfile.ZipFile(archive) as parts, zipfile.ZipFile(path, "w") as file:
        for name in parts.namelist():
            part = zipfile.ZipInfo(name, _EPOCH.timetuple()[:6])
            file.writestr(part, parts.read(name), zipfile.ZIP_DEFLATED)
