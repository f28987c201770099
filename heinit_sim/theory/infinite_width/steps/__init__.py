"""Maps of a wide signal and of its gradient, one file for each step: `network.steps` mirrored."""
