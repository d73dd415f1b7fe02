# shellcheck shell=bash
# FTP by pyftpdlib: the user tester, with the password testing, may write in FOLDER/files, anonymous may read there. At
# PORT + 1 the same files by a server that knows nothing new, and that says its files are at an address where nobody is.
# With server.pem and server.key in FOLDER, PORT takes AUTH TLS, and PORT + 2 begins with TLS.
# shellcheck disable=SC2154  # root and address are of store.sh

install_ftp() {
  python_server ftp 'pyftpdlib[ssl]==2.2.0'
}

run_ftp() {
  mkdir -p "$1/files"
  cat >"$1/server.py" <<'PYTHON'
import sys
from pathlib import Path

from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler, TLS_FTPHandler
from pyftpdlib.ioloop import IOLoop
from pyftpdlib.servers import FTPServer

address, folder, port = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
users = DummyAuthorizer()
users.add_user("tester", "testing", str(folder / "files"), perm="elradfmwMT")
users.add_user("a@b:c", "p@ss:w/rd", str(folder / "files"), perm="elradfmwMT")
users.add_anonymous(str(folder / "files"))
has_tls = (folder / "server.pem").exists()


class Current(TLS_FTPHandler if has_tls else FTPHandler):
    authorizer = users
    if has_tls:
        certfile, keyfile = str(folder / "server.pem"), str(folder / "server.key")


class Implicit(Current):
    def handle(self):
        self.secure_connection(self.ssl_context)

    def handle_ssl_established(self):
        TLS_FTPHandler.handle(self)

    def ftp_AUTH(self, line):
        self.respond("550 not supported when implicit TLS is used.")


class Old(FTPHandler):
    authorizer = users
    masquerade_address = "203.0.113.1"
    proto_cmds = {
        name: told
        for name, told in FTPHandler.proto_cmds.items()
        if name not in {"EPSV", "EPRT", "MLSD", "MLST", "FEAT", "OPTS", "MDTM"}
    }


loop = IOLoop()
kinds = [Current, Old] + ([Implicit] if has_tls else [])
for number, kind in enumerate(kinds):
    server = FTPServer((address, port + number), kind, ioloop=loop)
    server.max_cons_per_ip = 0
loop.loop()
PYTHON
  become "$root/ftp/bin/python" "$1/server.py" "$address" "$1" "$2"
}
