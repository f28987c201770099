"""The look of a figure: its sheet, its colours, and what they stand out from."""
