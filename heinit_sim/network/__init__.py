"""One network's forward and backward passes and their moments."""
