"""Training: a model, batches and a loss go in; the model learns, and the history comes out."""
