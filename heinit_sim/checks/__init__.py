"""Holds a result against what its config expects, what theory says, and another run."""

from heinit_sim.checks.comparison import LEVEL as LEVEL
from heinit_sim.checks.comparison import Comparison as Comparison
from heinit_sim.checks.comparison import compare as compare
from heinit_sim.checks.expectations import check_expectations as check_expectations
from heinit_sim.checks.expectations import unstable as unstable
from heinit_sim.checks.fates import fates as fates
from heinit_sim.checks.findings import check_all as check_all
from heinit_sim.checks.findings import failed as failed
from heinit_sim.checks.theory_agreement import check as check
from heinit_sim.checks.verdict import ALIKE as ALIKE
from heinit_sim.checks.verdict import ALLOWED_DECADES as ALLOWED_DECADES
from heinit_sim.checks.verdict import predicted_slope as predicted_slope
from heinit_sim.checks.verdict import trend as trend
from heinit_sim.checks.verdict import words_by_scale as words_by_scale
from heinit_sim.checks.width_slopes import width_slopes as width_slopes
