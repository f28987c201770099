"""Which known word a word is a misspelling of, if it is one and not another word."""

from __future__ import annotations

import re
from collections.abc import Iterable


def correction(word: str, known: Iterable[str]) -> str | None:
    """The one known word that a word is a misspelling of; None where it may mean something else.

    Case, underscores, hyphens and blanks do not count. Beyond that one letter may be wrong,
    missing, too many or exchanged with the next, or two of eight or more; but not the first one,
    which "crelu" and "celu" share with no "relu", nor a digit. Words of three letters or fewer are
    told apart by each.
    """
    plain = _plain(word)
    errors = {}
    for candidate in known:
        other = _plain(candidate)
        longer = max(len(plain), len(other))
        allowed = (longer > 3) + (longer > 7)
        if abs(len(plain) - len(other)) > allowed or (allowed and not _alike(plain, other)):
            continue
        n_errors = _distance(plain, other)
        if n_errors <= allowed:
            errors[candidate] = n_errors
    nearest = [candidate for candidate in errors if errors[candidate] == min(errors.values())]
    return nearest[0] if len(nearest) == 1 else None


def same_word(word: str, other: str) -> bool:
    """Whether two words differ in nothing but capitals, hyphens, underscores and blanks."""
    return _plain(word) == _plain(other)


def _plain(word: str) -> str:
    return re.sub(r"[-_ ]", "", word.casefold())


def _alike(word: str, other: str) -> bool:
    """Whether two words have the same digits, and the same first letter or first two exchanged."""
    exchanged = word[:2] == other[1::-1]
    digits = [re.findall("[0-9]", text) for text in (word, other)]
    return (word[:1] == other[:1] or exchanged) and digits[0] == digits[1]


def _distance(word: str, other: str) -> int:
    """Letters that are wrong, missing, too many or exchanged with the next: Damerau's distance."""
    before: list[int] = []
    last = list(range(len(other) + 1))
    for i, letter in enumerate(word, 1):
        row = [i]
        for j, wanted in enumerate(other, 1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and (letter, word[i - 2]) == (other[j - 2], wanted):
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before, last = last, row
    return last[-1]
