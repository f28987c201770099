"""Draw the pictures of configs/slides.md with its own commands: python -m tests.tools.slides."""

import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image  # matplotlib needs it too

CONFIGS = Path(__file__).parents[2] / "configs"
WIDTH, COLORS = 800, 128  # pixels at most


def commands() -> list[list[str]]:
    """The commands of the page, without the name of the program."""
    text = (CONFIGS / "slides.md").read_text("utf-8")
    return [shlex.split(line)[1:] for line in re.findall(r"^    (heinit-sim .*)$", text, re.M)]


def pictures() -> list[str]:
    """The names of the pictures that the page shows, each that of the directory it comes from."""
    return re.findall(r"\(slides/(\S+)\.png\)", (CONFIGS / "slides.md").read_text("utf-8"))


def main() -> None:
    """Run every command of the page on one run, and keep the pictures that the page shows."""
    program = [sys.executable, "-m", "heinit_sim"]
    with tempfile.TemporaryDirectory() as folder:
        config = CONFIGS / "figure_7_4.yaml"
        run = [*program, "run", str(config), "--out", "RUN", "--no-plots"]
        subprocess.run(run, cwd=folder, check=True, capture_output=True)
        for command in commands():
            subprocess.run([*program, *command], cwd=folder, check=True, capture_output=True)
        for name in pictures():
            picture = Image.open(Path(folder) / name / "forward_backward.png").convert("RGB")
            picture.thumbnail((WIDTH, WIDTH))
            path = CONFIGS / "slides" / f"{name}.png"
            path.parent.mkdir(exist_ok=True)
            picture.quantize(COLORS, dither=Image.Dither.NONE).save(path, optimize=True)
            print(f"{name}  {path.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
