"""Where PyTorch computes."""

import torch


def set_up_torch(device: str, threads: int) -> None:
    """Check the device and set the number of CPU threads (0: PyTorch's choice).

    ValueError if PyTorch does not have the device here, or for a negative number.
    """
    try:
        torch.empty(0, device=torch.device(device))
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"device: expected one that PyTorch has here: {reason}") from None
    if threads < 0:
        raise ValueError(f"threads: expected 0 or more, found {threads}")
    if threads:
        torch.set_num_threads(threads)
    if torch.device(device).type == "cuda":
        torch.backends.cudnn.benchmark = True
        torch.set_float32_matmul_precision("high")
