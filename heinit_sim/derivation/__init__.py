"""The lectures' identities, each verified by simulation."""

from heinit_sim.derivation.identity import LEVEL as LEVEL
from heinit_sim.derivation.identity import Row as Row
from heinit_sim.derivation.verify import DEFAULT_CONFIG as DEFAULT_CONFIG
from heinit_sim.derivation.verify import Verification as Verification
from heinit_sim.derivation.verify import verify as verify
