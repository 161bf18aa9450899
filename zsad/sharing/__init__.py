"""Sharing of weights, data, features and embeddings among users and working folders, below one root."""
