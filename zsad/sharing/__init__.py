"""What several users and working folders share: weights, data, features and embeddings, below one root."""
