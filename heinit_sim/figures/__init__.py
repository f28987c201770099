"""A result as a matplotlib `Figure`; nothing is printed and nothing saved."""

from heinit_sim.figures.builds import Step as Step
from heinit_sim.figures.builds import build_steps as build_steps
from heinit_sim.figures.builds import showing as showing
from heinit_sim.figures.draw import draw as draw
from heinit_sim.figures.drawn_figure import METADATA as METADATA
from heinit_sim.figures.look import check_look as check_look
from heinit_sim.figures.motion import Picture as Picture
from heinit_sim.figures.motion import draw_motion as draw_motion
from heinit_sim.figures.pgfplots import to_pgfplots as to_pgfplots
from heinit_sim.figures.phase_diagram import draw_phase_diagram as draw_phase_diagram
from heinit_sim.figures.sheet import saving as saving
from heinit_sim.figures.shown import on_slide as on_slide
