"""Draw the thumbnails of configs/README.md: python -m tests.tools.thumbnails [NAME ...]."""

import io
import sys
import time
from pathlib import Path

from PIL import Image  # matplotlib needs it too

from heinit_sim import draw, load_config, run_sweep
from heinit_sim.cli.config import gallery

FOLDER = Path(__file__).parents[2] / "configs" / "thumbnails"
SIZE, DPI = (4.8, 2.4), 100  # inches, and pixels in one
COLORS = 128


def write_thumbnail(name: str, path: Path) -> None:
    """Simulate a config of the gallery and draw its figure, small."""
    large = io.BytesIO()
    result = run_sweep(load_config(gallery()[name]))
    draw(result, size=SIZE).savefig(large, format="png", dpi=DPI)
    picture = Image.open(large).convert("RGB")
    picture.quantize(COLORS, dither=Image.Dither.NONE).save(path, optimize=True)


def main(names: list[str]) -> None:
    """Draw those of the configs named, or of the whole gallery."""
    unknown = set(names) - set(gallery())
    if unknown:
        raise SystemExit(f"no config {min(unknown)} in the gallery; it has {', '.join(gallery())}")
    FOLDER.mkdir(exist_ok=True)
    for name in names or gallery():
        start = time.perf_counter()
        path = FOLDER / f"{name}.png"
        write_thumbnail(name, path)
        print(f"{name}  {path.stat().st_size / 1024:.0f} KiB  {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main(sys.argv[1:])
