"""Checkpoints as their authors publish them, turned into what ``transformers`` loads: a configuration and weights.

Architecture and size are read from the names and shapes of the tensors, never from the name of a file. What shapes
cannot tell (epsilons of norms, the base of rotary positions) comes from the authors' code, and stands beside its
source in the module of each layout; of open_clip's files, whose activations differ, a configuration must say it.
"""
