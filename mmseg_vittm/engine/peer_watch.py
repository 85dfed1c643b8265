"""PeerWatchHook: when one process of a run dies, the others end too, soon and with an error."""
import os
import secrets
import socket
import threading
import time

from mmengine.dist import broadcast_object_list, get_dist_info
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.registry import HOOKS
from mmengine.runner import Runner

GRACE = 10  # seconds in which a process may end by an error of its own
CONNECT = 10  # seconds for a connection to be made
LEFT = b'.'
# Of a machine that vanished without a word: noticed after 10 + 4 * 5 seconds.
KEEP_ALIVE = dict(TCP_KEEPIDLE=10, TCP_KEEPINTVL=5, TCP_KEEPCNT=4)


class PeerWatch:
    """A connection between the first process and each other, which the system closes when a process dies.

    A lost connection ends this process with status 1 after a few seconds, wherever it hangs: in a collective, a
    data loader, a long validation. Nothing is sent but a byte at a regular end, so a slow process is no dead one.
    All processes must make theirs together.
    """

    def __init__(self):
        self.rank, self.world_size = get_dist_info()
        self.logger = MMLogger.get_current_instance()
        self._sockets: list[socket.socket] = []
        self._closed = False
        os.register_at_fork(after_in_child=self._forget)  # a data worker must not keep the connection open
        host, key, listener = os.environ.get('MASTER_ADDR', '127.0.0.1'), [None, None], None
        if self.rank == 0:
            listener = socket.create_server(('127.0.0.1' if host in ('127.0.0.1', 'localhost') else '', 0))
            key = [listener.getsockname()[1], secrets.token_hex(16)]
        broadcast_object_list(key)
        if listener is not None:
            self._sockets.append(listener)
            self._start(self._accept, listener, key[1])
        else:
            self._connect(host, *key)

    def close(self) -> None:
        """Says goodbye: after this, the end of any process is a regular one."""
        self._closed = True
        for connection in self._sockets:
            try:
                connection.send(LEFT)
                connection.shutdown(socket.SHUT_WR)
            except OSError:  # the listener, or the other side has left already
                pass
        self._forget()

    def _accept(self, listener: socket.socket, token: str) -> None:
        waited_for = self.world_size - 1
        while waited_for and not self._closed:
            try:
                connection, _ = listener.accept()
                connection.settimeout(CONNECT)
                theirs, _, rank = connection.recv(64).decode(errors='replace').partition(' ')
            except OSError:
                continue
            if not (secrets.compare_digest(theirs.encode(), token.encode()) and rank.isdecimal()):
                connection.close()  # some stranger
                continue
            self._start(self._watch, connection, int(rank))
            waited_for -= 1

    def _connect(self, host: str, port: int, token: str) -> None:
        try:
            connection = socket.create_connection((host, port), CONNECT)
            connection.send(f'{token} {self.rank}'.encode())
        except OSError as error:
            self.logger.warning(f'Process {self.rank} cannot watch process 0 ({host}:{port}, {error}): should that one '
                                'die, this one may hang')
            return
        self._start(self._watch, connection, 0)

    def _watch(self, connection: socket.socket, peer: int) -> None:
        connection.settimeout(None)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in KEEP_ALIVE.items():
            if hasattr(socket, option):
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
        self._sockets.append(connection)
        try:
            last = connection.recv(1)
        except OSError:
            last = b''
        if last == LEFT or self._closed:
            return
        self.logger.error(f'Process {peer} of {self.world_size} has died; process {self.rank} ends too. Go on with '
                          '--resume')
        time.sleep(GRACE)
        if not self._closed:
            os._exit(1)

    def _start(self, target, *arguments) -> None:
        threading.Thread(target=target, args=arguments, daemon=True).start()

    def _forget(self) -> None:
        for connection in self._sockets:
            connection.close()


@HOOKS.register_module()
class PeerWatchHook(Hook):
    """Ends this process when another of the run dies; see `PeerWatch`. Nothing where there is one process."""

    def __init__(self):
        self._watch: PeerWatch | None = None

    def before_run(self, runner: Runner) -> None:
        """Begins to watch."""
        if runner.world_size > 1:
            self._watch = PeerWatch()

    def after_run(self, runner: Runner) -> None:
        """Ends it."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None
