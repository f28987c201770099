"""Characters in LaTeX's words."""

_GREEK = (
    r"\sigma \Omega \chi \xi \alpha \beta \kappa \mu \Sigma \partial \ell \infty \surd \times \pm"
)
_SIGNS = r"\cdot - \le ^2 ^3 ^T _1 \frac12 \prime \to \|"
_OTHERS = r"\ge \ne \approx \gamma \delta \epsilon \eta \theta \lambda \nu \pi \rho \tau \phi \psi"
_OTHERS += r" \omega \Gamma \Delta \Theta \Lambda \Pi \Phi \Psi \in \propto \mapsto ^0 ^1 _0 _2"
MACROS = dict(zip("σΩχξαβκμΣ∂ℓ∞√×±·−≤²³ᵀ₁½′→‖", f"{_GREEK} {_SIGNS}".split(), strict=True))
"""Character -> what it is in mathematics."""
MACROS |= dict(zip("≥≠≈γδεηθλνπρτφψωΓΔΘΛΠΦΨ∈∝↦⁰¹₀₂", _OTHERS.split(), strict=True))
_TEXT = {character: f"${macro}$" for character, macro in MACROS.items()}
_TEXT |= {character: f"\\{character}" for character in "_%$&#{}"}
_TEXT |= {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_TEXT |= {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"}
_TEXT |= {"—": "---", "–": "--", "…": r"\dots{}", "\u00a0": "~", "\u202f": r"\,"}
_TEXT |= {"`": r"\textasciigrave{}"}
_LIGATURES = "-',"  # two of which side by side TeX would print as another character


def escaped(text: str) -> str:
    """Return what LaTeX prints as the text, without mathematics of its own."""
    return "".join(
        _TEXT.get(character, character) + "{}" * (character == after and character in _LIGATURES)
        for character, after in zip(text, [*text[1:], ""], strict=False)
    )
