"""How clips are scored: frame by frame, against trivial baselines, by the judge; and how a claim is recorded."""
