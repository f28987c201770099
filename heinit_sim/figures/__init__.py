"""A result as a matplotlib `Figure`; nothing is printed and nothing saved."""
