"""Colours that can be seen on their ground: contrast as WCAG 2 has it, lightness as OKLab has it.

Sources: W3C, *Web Content Accessibility Guidelines 2.2* (contrast ratio); B. Ottosson, *A
perceptual color space for image processing* (2020).
"""

import numpy as np
from matplotlib.colors import to_rgb, to_rgba
from matplotlib.typing import ColorType

from heinit_sim.numerics import FloatArray

LINE, TEXT = 3.0, 4.5
"""The least contrast of a line and of text with their ground."""
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
_TO_CONES, _TO_LINEAR = np.linalg.inv(_LAB), np.linalg.inv(_CONES)
_SHADES, _HALVINGS = 256, 9  # of lightness and of colourfulness: finer than eight bits
_GAMUT = 1e-4  # beyond the screen's range that is none


def luminance(color: ColorType) -> float:
    """Return the relative luminance Y, 0 to 1, of a colour as eight bits have it."""
    return float(_luminances(np.array(to_rgb(color))))


def contrast(first: ColorType, second: ColorType) -> float:
    """Return the contrast of two colours, 1 to 21: (Y₁ + 0.05)/(Y₂ + 0.05)."""
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def is_dark(ground: ColorType) -> bool:
    """Whether white stands out from a ground more than black does."""
    return contrast(ground, "white") > contrast(ground, "black")


def legible(color: ColorType, ground: ColorType, least: float) -> FloatArray:
    """Return the colour, or the next of its hue that has so much contrast with the ground.

    Args:
        color: Any that matplotlib knows; its opacity is kept.
        ground: What it is drawn on.
        least: The contrast wanted, at most √21 = 4.58, which black or white reaches anywhere.
    """
    rgba = np.array(to_rgba(color))
    if contrast(color, ground) >= least:
        return rgba
    lightness, *hue = _LAB @ np.cbrt(_CONES @ _linear(rgba[:3]))
    shades = _shades(np.linspace(lightness, is_dark(ground), _SHADES), np.array(hue))
    other, end = luminance(ground) + 0.05, _luminances(shades) + 0.05
    enough = np.maximum(end, other) >= least * np.minimum(end, other)
    return np.append(shades[np.argmax(enough)], rgba[3])


def _shades(lightness: FloatArray, hue: FloatArray) -> FloatArray:
    """Return sRGB (n, 3) of a hue (a, b), less colourful where the screen has no such colour."""
    low, high = np.zeros(len(lightness)), np.ones(len(lightness))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        linear = _from_oklab(lightness, middle[:, None] * hue)
        inside = ((linear >= -_GAMUT) & (linear <= 1 + _GAMUT)).all(1)
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    linear = np.clip(_from_oklab(lightness, low[:, None] * hue), 0.0, 1.0)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def _from_oklab(lightness: FloatArray, hues: FloatArray) -> FloatArray:
    cones = (np.column_stack([lightness, hues]) @ _TO_CONES.T) ** 3
    return np.asarray(cones @ _TO_LINEAR.T)


def _luminances(rgb: FloatArray) -> FloatArray:
    return np.asarray(_linear(np.round(255 * rgb) / 255) @ _LUMINANCE)


def _linear(rgb: FloatArray) -> FloatArray:
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
