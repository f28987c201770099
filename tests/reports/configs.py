"""Configs of the tests of runs as rows, notes and tables."""

SMALL = """
name: small
network: {depth: 3, width: 8, input_dim: 5}
init: {}
inputs: {count: 4}
sweep: {init.variance: [0.25, 0.5]}
trials: 6
"""
CLASSES = """
name: classes
network: {depth: 2, width: 100, input_dim: 100, output_dim: 50, activation: tanh}
init: {scheme: lecun_normal, last: {variance: VARIANCE}}
inputs: {count: 20}
loss: {name: cross_entropy}
trials: 10
"""
