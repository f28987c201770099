"""One file for each step of a layer: its forward pass and the adjoint that mirrors it."""
