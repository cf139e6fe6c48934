"""From noise to clips, and back: the process, its losses and its samplers, for any network that can be called."""
