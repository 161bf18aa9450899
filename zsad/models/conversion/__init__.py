"""Convert checkpoints published by their authors to the form of ``transformers``: a configuration and weights.

Architecture and size are read from the names and shapes of the tensors, never from the name of a file. Facts that
shapes do not give (epsilons of norms, the base of rotary positions) come from the authors' code, and are given with
their source in the module of each layout; open_clip's files, whose activations differ, need a configuration.
"""
