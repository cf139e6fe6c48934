"""One thread for each test process: several run side by side, and threads that wait for one another cost more."""

import torch

torch.set_num_threads(1)
