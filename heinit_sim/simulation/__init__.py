"""A `SweepConfig` becomes a `SweepResult`: plan of passes, list of tasks, whoever does them."""

from heinit_sim.simulation.cost import estimate as estimate
from heinit_sim.simulation.cost import gain_without_weights as gain_without_weights
from heinit_sim.simulation.cost import require_memory as require_memory
from heinit_sim.simulation.dask_engine import LOCAL as LOCAL
from heinit_sim.simulation.dask_engine import dask_address as dask_address
from heinit_sim.simulation.dask_engine import dask_client as dask_client
from heinit_sim.simulation.dask_engine import simulated_by_dask as simulated_by_dask
from heinit_sim.simulation.executors import process_pool as process_pool
from heinit_sim.simulation.executors import usable_cpus as usable_cpus
from heinit_sim.simulation.executors import versions as versions
from heinit_sim.simulation.histograms import Counts as Counts
from heinit_sim.simulation.packed import pack as pack
from heinit_sim.simulation.packed import packed_size as packed_size
from heinit_sim.simulation.packed import unpack as unpack
from heinit_sim.simulation.ratios import ratio_spread as ratio_spread
from heinit_sim.simulation.sweep import collect as collect
from heinit_sim.simulation.sweep import iter_sweep as iter_sweep
from heinit_sim.simulation.sweep import run_sweep as run_sweep
from heinit_sim.simulation.sweep import theory_beside as theory_beside
from heinit_sim.simulation.sweep import with_theory as with_theory
from heinit_sim.simulation.tasks import Simulated as Simulated
from heinit_sim.simulation.tasks import Task as Task
from heinit_sim.simulation.tasks import task_list as task_list
