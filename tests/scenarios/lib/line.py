"""A bad line: a TCP relay on the loopback that is cut, stalls or is slow when told to. Knows nothing of what goes through it."""

import socket
import struct
import threading
import time


class Line:
    """Listens on `port` and leads to `target`. What comes from the server is counted in `passed`, what goes to it in `sent`."""

    def __init__(self, target, host="127.0.0.1"):
        self.target, self.host = target, host
        self.passed = self.sent = 0
        self._plan = self._sent_plan = None
        self._gate = threading.Event()
        self._gate.set()
        self._rate = None
        self._lock = threading.Lock()
        self._sockets = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, url):
        """The same address through this line."""
        return url.replace(f":{self.target}/", f":{self.port}/")

    # What befalls it, once so many bytes more have come from the server

    def cut_after(self, passed):
        """All connections are reset."""
        self._plan = (self.passed + passed, self.cut)

    def when_passed(self, passed, act):
        """Calls `act` at that very byte, before anything of it goes on."""
        self._plan = (self.passed + passed, act)

    def when_sent(self, sent, act):
        """The same of what goes to the server."""
        self._sent_plan = (self.sent + sent, act)

    def stall_after(self, passed, seconds=None):
        """Nothing moves for so long, or for ever."""
        def stall():
            self._gate.clear()
            if seconds is not None:
                threading.Timer(seconds, self._gate.set).start()
        self._plan = (self.passed + passed, stall)

    @property
    def stalled(self):
        return not self._gate.is_set()

    def flow(self):
        """Moves again what stalled."""
        self._gate.set()

    def slow(self, rate):
        """So many bytes a second from now on; None: as fast as it goes."""
        self._rate = rate

    def cut(self):
        with self._lock:
            cut, self._sockets = self._sockets, []
        for one in cut:
            reset(one)

    def close(self):
        self._listener.close()
        self.cut()
        self._gate.set()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection((self.host, self.target), timeout=60)
                server.settimeout(None)
            except OSError:
                reset(client)
                continue
            with self._lock:
                self._sockets += [client, server]
            for source, sink, counted in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._pump, args=(source, sink, counted), daemon=True).start()

    def _pump(self, source, sink, counted):
        try:
            while data := source.recv(65536):
                if counted:
                    self._count(len(data))
                else:
                    self._count_sent(len(data))
                if not self._gate.is_set():
                    self._gate.wait()
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            reset(source)
            reset(sink)

    def _count(self, length):
        with self._lock:
            self.passed += length
            due, self._plan = (self._plan[1], None) if self._plan and self.passed >= self._plan[0] else (None, self._plan)
        if self._rate:
            time.sleep(length / self._rate)
        if due:
            due()

    def _count_sent(self, length):
        with self._lock:
            self.sent += length
            due, self._sent_plan = (self._sent_plan[1], None) if self._sent_plan and self.sent >= self._sent_plan[0] else (None, self._sent_plan)
        if due:
            due()


def reset(one):
    """Ends a connection with RST."""
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    one.close()
