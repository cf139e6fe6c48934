"""train.py NAME SEED CPU_SECONDS OUT.safetensors: train one of GAN_SETTINGS and keep it; goes on where it was interrupted."""
import sys
from pathlib import Path
from course.recipes.gan import GANRun, gan_checkpoint
name, seed, seconds, out = sys.argv[1:]
print(gan_checkpoint(Path(out), GANRun(name=name, seed=int(seed), cpu_seconds=float(seconds)), command=f"python -m course train {Path(out).stem}"))
