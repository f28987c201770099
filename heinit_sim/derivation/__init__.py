"""The lectures' identities, each held by simulation."""
