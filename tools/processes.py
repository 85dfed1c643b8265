"""Starts the processes of a training run, as torchrun: python tools/processes.py [options of torchrun] SCRIPT ...

It ends as they do: with their status, and where one was killed with one line that says so. SIGTERM, SIGUSR1 and SIGINT
are handed on to them, which save and end; a second SIGINT ends all at once.
"""
import contextlib
import os
import signal
import subprocess
import sys
from typing import Any

from torch.distributed import run
from torch.distributed.elastic.agent.server.local_elastic_agent import LocalElasticAgent
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher import api

PATIENCE = int(os.environ.get('TORCH_ELASTIC_SHUTDOWN_TIMEOUT', 300))  # seconds for saving, before a SIGKILL
GRACE = 10  # the same where one process failed, and the others wait for it
STOPPED = 75  # the status of a run that was saved, `mmseg_vittm.errors.TrainingStopped.STATUS`
STOPS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)


class Agent(LocalElasticAgent):
    """torchrun's agent, that tells the processes that ended first from those which it ended because of them."""
    statuses: dict[int, int] = {}  # by the local ranks

    def _monitor_workers(self, *arguments: Any, **keywords: Any) -> Any:
        ended = {rank: process.poll() for rank, process in self._processes().items()}
        if any(ended.values()) and not Agent.statuses:
            Agent.statuses = {rank: status for rank, status in ended.items() if status is not None}
            self._pcontext.close(timeout=PATIENCE if STOPPED in Agent.statuses.values() else GRACE)
        return super()._monitor_workers(*arguments, **keywords)

    def _shutdown(self, death_sig: signal.Signals = signal.SIGTERM, timeout: int = GRACE) -> None:
        if not self._pcontext or not isinstance(sys.exc_info()[1], SignalException):
            return super()._shutdown(death_sig)
        processes, interrupts = self._processes(), [death_sig] * (death_sig == signal.SIGINT)

        def more(number: int, _) -> None:
            interrupts.extend([number] * (number == signal.SIGINT))
            if len(interrupts) > 1:
                for process in processes.values():
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
        for number in STOPS:
            signal.signal(number, more)
        self._pcontext.close(death_sig, PATIENCE)
        Agent.statuses = {rank: process.wait() for rank, process in processes.items()}
        if len(interrupts) > 1:
            Agent.statuses = dict.fromkeys(processes, 128 + signal.SIGINT)

    def _processes(self) -> dict[int, subprocess.Popen]:
        handlers = self._pcontext.subprocess_handlers if self._pcontext else {}
        return {rank: handler.proc for rank, handler in handlers.items()}


def stop(number: int, _) -> None:
    """Does what torchrun's own handlers do, which know no SIGUSR1 by themselves."""
    raise SignalException(f'got signal {number}', signal.Signals(number))


def end(statuses: dict[int, int]) -> None:
    """Ends as processes did, given their statuses by their local ranks; those of signals are negative."""
    killed = {rank: -status for rank, status in statuses.items() if status < 0}
    if killed:
        names = ', '.join(f'process {rank} by {signal.Signals(number).name}' for rank, number in killed.items())
        memory = ', probably out of memory' * (signal.SIGKILL in killed.values())
        sys.stderr.write(f'error: killed: {names}{memory}; what was saved before is whole: go on with --resume\n')
        sys.exit(2)
    sys.exit(min(filter(None, statuses.values()), default=0))


def main() -> None:
    """Runs the command line."""
    api.LocalElasticAgent = Agent
    signal.signal(signal.SIGUSR1, stop)
    try:
        run.main()
    except ChildFailedError as error:
        end(Agent.statuses or {rank: failure.exitcode for rank, failure in error.failures.items()})
    except SignalException as error:
        end(Agent.statuses or {0: 128 + error.sigval})


if __name__ == '__main__':
    main()
