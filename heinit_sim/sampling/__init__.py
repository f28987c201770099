"""Which random stream and which law: weights, biases, inputs and data sets."""
