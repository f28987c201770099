"""What is drawn: curves and lines, their axes and their key."""
