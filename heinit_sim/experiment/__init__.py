"""Records and words of what is asked and what is found; NumPy is not imported here."""
