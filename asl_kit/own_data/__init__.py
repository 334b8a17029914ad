"""Videos of one's own and their annotations: what there is, and how to extract, train and score it."""
