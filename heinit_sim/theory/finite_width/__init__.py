"""Exact laws over networks at any width."""

from heinit_sim.theory.finite_width.log_norms import log_law as log_law
from heinit_sim.theory.finite_width.moments import slope_moments as slope_moments
from heinit_sim.theory.finite_width.scale_law import scale_law as scale_law
from heinit_sim.theory.finite_width.scale_law import unit_layers as unit_layers
