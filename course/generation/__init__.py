"""Clips from trained networks: a callable and a context go in, frames come out."""
