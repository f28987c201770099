"""Numbers as text: short, with a power of ten, or with a decimal comma."""


def number_text(value: float, digits: int = 10) -> str:
    """Return a number as mathematical text, e.g. "0.02" or "$10^{-5}$"."""
    mantissa, _, exponent = f"{value:.{digits}g}".partition("e")
    if exponent:
        return tex_power(float(mantissa), int(exponent), digits)
    return mantissa.replace("-", "−")


def with_decimal(text: str, mark: str) -> str:
    """Return the text of a number with another decimal mark than a point."""
    return text.replace(".", f"{{{mark}}}" if "$" in text else mark) if mark != "." else text


def tex_power(mantissa: float, exponent: int, digits: int = 10) -> str:
    """Return mantissa × 10^exponent as mathematical text."""
    factor = "" if mantissa == 1 else rf"{mantissa:.{digits}g}\times"
    return f"${factor}10^{{{exponent}}}$"
