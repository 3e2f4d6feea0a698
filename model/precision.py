"""Which arithmetic a device computes in, and by which kernels."""

import torch


def computes_bf16(device: torch.device) -> bool:
    """Whether the hardware computes in bf16; elsewhere it would be slower than fp32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and bool(torch.cpu._is_avx512_bf16_supported())


def use_fast_kernels() -> None:
    """Let a GPU multiply in TF32, and try which convolutions are fastest at the sizes at hand."""
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
