"""YAML text becomes a `SweepConfig`; mistakes become messages."""
