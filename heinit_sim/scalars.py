"""What text without quotes means: null, booleans and numbers by YAML 1.2, or the text itself."""

import math
import re

_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
NUMBER = re.compile(r"([-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+))(?:[eE][-+]?[0-9]+)?")
_WORDS: dict[str, object] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
}


def plain_scalar(text: str) -> object:
    """The value of a scalar without quotes; what only YAML 1.1 takes for a number stays text.

    Source: YAML 1.2.2, sec. 10.3.2, the core schema, of whose numbers only the decimal ones.
    """
    if text in _WORDS:
        return _WORDS[text]
    match = NUMBER.fullmatch(text)
    if not match:
        return text
    number = float(text)
    if math.isinf(number) or (number == 0 and re.search("[1-9]", match[1])):
        return text  # no float is near it
    return int(text) if _INTEGER.fullmatch(text) else number
