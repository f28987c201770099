"""YAML text becomes a `SweepConfig`; mistakes become messages."""

from heinit_sim.config.completion import completions as completions
from heinit_sim.config.draft import Override as Override
from heinit_sim.config.draft import Overrides as Overrides
from heinit_sim.config.draft import parse_override as parse_override
from heinit_sim.config.from_manifest import MANIFEST_VERSION as MANIFEST_VERSION
from heinit_sim.config.from_manifest import document_hash as document_hash
from heinit_sim.config.load import load_config as load_config
from heinit_sim.config.load import parse_config as parse_config
from heinit_sim.config.load import with_figure as with_figure
from heinit_sim.config.schema.config import config_schema as config_schema
from heinit_sim.config.yaml_document import MAX_MANIFEST as MAX_MANIFEST
from heinit_sim.config.yaml_document import to_yaml as to_yaml
