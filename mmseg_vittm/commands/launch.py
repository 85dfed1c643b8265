"""Launching: one process, torchrun, Slurm or MPI; GPUs through nccl and CPUs through gloo."""
import datetime
import os

import torch
import torch.distributed
from mmengine.config import Config

from ..errors import InputError

LONGEST = 10**7  # seconds, four months
LAUNCHERS = ('none', 'pytorch', 'slurm', 'mpi')


def world_size(launcher: str) -> int:
    """Returns how many processes the launcher started, from its environment variables; 1 without one."""
    names = {'pytorch': 'WORLD_SIZE', 'slurm': 'SLURM_NTASKS', 'mpi': 'OMPI_COMM_WORLD_SIZE'}
    return int(os.environ.get(names.get(launcher, ''), 1))


def is_main(launcher: str) -> bool:
    """Returns whether this process is the main one, by the launcher's environment variables.

    On GPUs no process group can tell before the Runner is built.
    """
    names = {'pytorch': 'RANK', 'slurm': 'SLURM_PROCID', 'mpi': 'OMPI_COMM_WORLD_RANK'}
    return int(os.environ.get(names.get(launcher, ''), 0)) == 0


def is_first_of_node(launcher: str) -> bool:
    """Returns whether this process is the first of its machine, by the launcher's environment variables."""
    names = {'pytorch': 'LOCAL_RANK', 'slurm': 'SLURM_LOCALID', 'mpi': 'OMPI_COMM_WORLD_LOCAL_RANK'}
    return int(os.environ.get(names.get(launcher, ''), 0)) == 0


def prepare_launch(cfg: Config, launcher: str, local_rank: int = 0) -> None:
    """Sets a config up for its launcher, before the Runner is built.

    On GPUs mmengine does it all. Without one, mmengine's launcher and its model wrapper ask for a CUDA device
    all the same, so the process group is opened here, with gloo.

    Args:
        cfg: The config.
        launcher: What started the processes, one of `LAUNCHERS`.
        local_rank: Which process of its machine this is, where the launcher has not said so in `LOCAL_RANK`.

    Raises:
        InputError: There is no GPU, and the launcher is not torchrun's; or torchrun's variables are missing.
    """
    os.environ.setdefault('LOCAL_RANK', str(local_rank))
    cfg.launcher = launcher
    if launcher == 'pytorch' and 'RANK' not in os.environ:
        raise InputError("launcher='pytorch': RANK is not set; start the tool by torchrun, as tools/dist_train.sh does")
    if launcher == 'none' or torch.cuda.is_available():
        return
    if launcher != 'pytorch':
        raise InputError(f"launcher={launcher!r} needs GPUs; on CPUs use torchrun and launcher='pytorch'")
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group('gloo', timeout=time_out(cfg))
    cfg.model_wrapper_cfg = dict(type='MMDistributedDataParallel', device_ids=None, broadcast_buffers=False)


def time_out(cfg: Config) -> datetime.timedelta | None:
    """Returns how long a process of a run waits for another one, by a config's `env_cfg.dist_cfg.timeout` in seconds.

    None, torch's default, where the config does not say.

    Raises:
        InputError: It is no such number.
    """
    seconds = ((cfg.get('env_cfg') or {}).get('dist_cfg') or {}).get('timeout')
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds <= LONGEST:
        raise InputError(f'env_cfg.dist_cfg.timeout must be seconds, above 0 and up to {LONGEST}, got {seconds!r}')
    return datetime.timedelta(seconds=seconds)


def divide_batch(cfg: Config, processes: int) -> None:
    """Divides `total_batch_size` of a config among the processes.

    Without one, or where `train_dataloader.batch_size` was set to something else, that is the batch per process,
    as everywhere in MMSegmentation.

    Raises:
        InputError: It does not divide evenly.
    """
    if not isinstance(cfg.train_dataloader, dict):  # of a loop of one's own
        return
    total, batch = cfg.get('total_batch_size'), cfg.train_dataloader.get('batch_size')
    if total is None or batch != total:
        return
    if total % processes:
        raise InputError(f'total_batch_size {total} cannot be divided among {processes} processes; set '
                         f'total_batch_size=N by cfg_options, a multiple of {processes}')
    cfg.train_dataloader.batch_size = total // processes
