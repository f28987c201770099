"""One module for each kind of figure, named as `figure.kind` is."""
