"""Survey of a user's own videos and annotations, and a proposal of how to extract, train and score."""
