"""A result as rows, CSV, tables, JUnit and Markdown; nothing is printed and nothing saved."""

from heinit_sim.reports import audit as audit
from heinit_sim.reports import audit_config as audit_config
from heinit_sim.reports import comparison as comparison
from heinit_sim.reports import derivation as derivation
from heinit_sim.reports import findings as findings
from heinit_sim.reports import gains as gains
from heinit_sim.reports import job_scripts as job_scripts
from heinit_sim.reports import page as page
from heinit_sim.reports import phase as phase
from heinit_sim.reports import prediction as prediction
from heinit_sim.reports.formats import Row as Row
from heinit_sim.reports.formats import TableFormat as TableFormat
from heinit_sim.reports.formats import to_csv as to_csv
from heinit_sim.reports.formats import to_json_values as to_json_values
from heinit_sim.reports.formats import to_latex as to_latex
from heinit_sim.reports.formats import to_markdown as to_markdown
from heinit_sim.reports.run import csv_files as csv_files
from heinit_sim.reports.run import summary_rows as summary_rows
from heinit_sim.reports.run import summary_rows_from_csv as summary_rows_from_csv
from heinit_sim.reports.run_notes import notes as notes
from heinit_sim.reports.run_notes import width_notes as width_notes
from heinit_sim.reports.summary_table import to_summary_table as to_summary_table
