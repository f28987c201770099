"""Run directories: the only writer and reader of disk, atomic and hashed."""

from heinit_sim.runs.atomic_write import put_text as put_text
from heinit_sim.runs.directory import add_figures as add_figures
from heinit_sim.runs.directory import check_file as check_file
from heinit_sim.runs.directory import check_page as check_page
from heinit_sim.runs.directory import check_target as check_target
from heinit_sim.runs.directory import compare as compare
from heinit_sim.runs.directory import description as description
from heinit_sim.runs.directory import difference as difference
from heinit_sim.runs.directory import has_figure as has_figure
from heinit_sim.runs.directory import read_run as read_run
from heinit_sim.runs.directory import read_summary as read_summary
from heinit_sim.runs.directory import redrawn_files as redrawn_files
from heinit_sim.runs.directory import run_files as run_files
from heinit_sim.runs.directory import update_figure as update_figure
from heinit_sim.runs.directory import write_run as write_run
from heinit_sim.runs.figure_files import export as export
from heinit_sim.runs.figure_files import write_builds as write_builds
from heinit_sim.runs.figure_files import write_figure as write_figure
from heinit_sim.runs.figure_files import write_gif as write_gif
from heinit_sim.runs.figure_files import write_prediction as write_prediction
from heinit_sim.runs.manifest import run_facts as run_facts
from heinit_sim.runs.slides import require_slides as require_slides
from heinit_sim.runs.slides import write_slides as write_slides
