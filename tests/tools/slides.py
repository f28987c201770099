"""Draw the pictures of configs/slides.md with its own commands: python -m tests.tools.slides."""

import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image  # matplotlib needs it too

CONFIGS = Path(__file__).parents[2] / "configs"
BROWSER = "chromium"
WIDTH, COLORS = 800, 128  # pixels at most


def commands() -> list[list[str]]:
    """The commands of the page, without the name of the program."""
    text = (CONFIGS / "slides.md").read_text("utf-8")
    return [shlex.split(line)[1:] for line in re.findall(r"^    (heinit-sim .*)$", text, re.M)]


def pictures() -> list[str]:
    """The names of the pictures that the page shows, each that of the directory it comes from."""
    return re.findall(r"\(slides/(\S+)\)", (CONFIGS / "slides.md").read_text("utf-8"))


def source(folder: Path, picture: str) -> Path:
    """The file that a command of the page wrote, of which a picture is a smaller copy."""
    stem = Path(picture).stem
    names = {"builds": "forward_backward-step-2.png", "motion": "forward_backward.gif"}
    return folder / stem / names.get(stem, "forward_backward.png")


def main() -> None:
    """Run every command of the page on one run, and keep the pictures that the page shows."""
    program = [sys.executable, "-m", "heinit_sim"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = CONFIGS / "figure_7_4.yaml"
        run = [*program, "run", str(config), "--out", "RUN", "--no-plots"]
        subprocess.run(run, cwd=folder, check=True, capture_output=True)
        for command in commands():
            subprocess.run([*program, *command], cwd=folder, check=True, capture_output=True)
        for picture in pictures():
            path = CONFIGS / "slides" / picture
            path.parent.mkdir(exist_ok=True)
            if picture == "page.png":
                browser = [BROWSER, "--headless=new", "--no-sandbox", "--window-size=1000,760"]
                shot = [f"--screenshot={path}", (folder / "page.html").as_uri()]
                subprocess.run([*browser, *shot], check=True, capture_output=True)
            if picture.endswith(".gif"):
                shutil.copy(source(folder, picture), path)
            else:
                taken = path if picture == "page.png" else source(folder, picture)
                smaller = Image.open(taken).convert("RGB")
                smaller.thumbnail((WIDTH, WIDTH))
                smaller.quantize(COLORS, dither=Image.Dither.NONE).save(path, optimize=True)
            print(f"{picture}  {path.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
