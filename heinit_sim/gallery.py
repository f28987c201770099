"""The starter configs that travel with the package, for `heinit-sim init`."""

from pathlib import Path
from typing import TYPE_CHECKING

from heinit_sim.errors import ConfigError

if TYPE_CHECKING:
    from rich.table import Table

_PACKAGE = Path(__file__).parent


def gallery() -> dict[str, Path]:
    """Name -> path of every config of the gallery."""
    installed = _PACKAGE / "gallery"  # where a wheel carries the repository's configs/
    folder = installed if installed.is_dir() else _PACKAGE.parent / "configs"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def gallery_text(name: str) -> str:
    """The text of one config of the gallery.

    Raises:
        ConfigError: The gallery has no config of that name.
    """
    configs = gallery()
    if name not in configs:
        raise ConfigError([f"init: no config '{name}' in the gallery; it has {', '.join(configs)}"])
    return configs[name].read_text("utf-8")


def to_gallery_table() -> "Table":
    """Two columns without a head: each name, and what the first line of its config says."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column()
    for name in gallery():
        first = gallery_text(name).partition("\n")[0]
        table.add_row(name, Text(first.removeprefix("#").strip()))
    return table
