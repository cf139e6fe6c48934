"""The pieces that networks are made of: ints in the constructor, tensors in, tensors out."""
