"""Predictions of a network before it is simulated, at finite and at infinite width."""

from heinit_sim.theory import assumptions as assumptions
from heinit_sim.theory.predictions import BESIDE_A_RUN as BESIDE_A_RUN
from heinit_sim.theory.predictions import n_sampled as n_sampled
from heinit_sim.theory.predictions import predict as predict
from heinit_sim.theory.predictions import predict_sweep as predict_sweep
from heinit_sim.theory.predictions import predicted_variance_of_ln as predicted_variance_of_ln
