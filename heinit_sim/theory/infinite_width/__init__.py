"""The mean-field limit of wide layers."""
