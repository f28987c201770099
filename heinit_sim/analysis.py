"""Commands that hold measurement against theory: predict, derive, check, compare.

NumPy and matplotlib are imported inside the commands that use them: `--help` stays quick.
"""

from __future__ import annotations
