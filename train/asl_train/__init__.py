"""Training: from annotations and feature stores to a trained model."""
