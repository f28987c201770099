"""Weights of checkpoints: their statistics, laws, layouts, schemes, and chains of layers."""
