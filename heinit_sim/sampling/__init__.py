"""Random streams and the laws that they are drawn from: weights, biases, inputs, data sets."""
