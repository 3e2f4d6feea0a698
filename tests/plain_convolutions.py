"""`ganim` with PyTorch's own convolutions: `python plain_convolutions.py train ...`

Those of oneDNN round differently on each kind of processor (weight gradients by up to 1e-5 with
AVX2), and Adam amplifies this. Numbers that a training must reproduce are compared without them.
"""

import torch

from ganim.cli import main

if __name__ == "__main__":
    torch.backends.mkldnn.enabled = False
    main()
