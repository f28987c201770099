"""The mean-field limit of wide layers."""

from heinit_sim.theory.infinite_width import gains as gains
from heinit_sim.theory.infinite_width.cross_entropy import largest_ln_q as largest_ln_q
from heinit_sim.theory.infinite_width.cross_entropy import second_moments as second_moments
from heinit_sim.theory.infinite_width.edge_of_chaos import Edge as Edge
from heinit_sim.theory.infinite_width.edge_of_chaos import edge_of_chaos as edge_of_chaos
from heinit_sim.theory.infinite_width.phase import (
    condition_bias_variance as condition_bias_variance,
)
from heinit_sim.theory.infinite_width.phase import condition_growth as condition_growth
from heinit_sim.theory.infinite_width.phase import condition_phase as condition_phase
from heinit_sim.theory.infinite_width.phase import condition_weight_scale as condition_weight_scale
from heinit_sim.theory.infinite_width.phase import length_fixed_point as length_fixed_point
from heinit_sim.theory.infinite_width.quadrature import about as about
from heinit_sim.theory.infinite_width.quadrature import even_moments as even_moments
