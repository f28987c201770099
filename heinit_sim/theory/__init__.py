"""What is known of a network before it is simulated."""
