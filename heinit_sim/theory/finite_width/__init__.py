"""Exact laws over networks at any width."""
