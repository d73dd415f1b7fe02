"""The worker's end of its connection to the server: what `ports.Record` asks, from afar."""

import os

# Read by gRPC when it is loaded: what is wrong with a connection, we say ourselves.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
