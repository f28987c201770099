"""A drawn figure in other forms: step by step, in motion, as LaTeX."""
