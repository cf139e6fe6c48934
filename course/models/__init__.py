"""The networks of the chapters: each takes its own frozen config and tensors, and computes no loss."""
