"""The pydantic models of a config, section by section."""
