"""A result as a matplotlib `Figure`; nothing is printed and nothing saved.

`draw` picks one of `kinds/`, which lays its curves (`axes/`) and names (`words/`) out on a sheet
(`look/`); `formats/` shows a drawn figure otherwise: step by step, in motion, as LaTeX.
"""

from heinit_sim.figures.draw import draw as draw
from heinit_sim.figures.formats.builds import Step as Step
from heinit_sim.figures.formats.builds import build_steps as build_steps
from heinit_sim.figures.formats.builds import showing as showing
from heinit_sim.figures.formats.motion import Picture as Picture
from heinit_sim.figures.formats.motion import draw_motion as draw_motion
from heinit_sim.figures.formats.pgfplots import to_pgfplots as to_pgfplots
from heinit_sim.figures.look.check_look import check_look as check_look
from heinit_sim.figures.look.drawn_figure import METADATA as METADATA
from heinit_sim.figures.look.lean_fonts import lean_fonts as lean_fonts
from heinit_sim.figures.look.sheet import saving as saving
from heinit_sim.figures.phase_diagram import draw_phase_diagram as draw_phase_diagram
from heinit_sim.figures.words.shown import on_slide as on_slide
