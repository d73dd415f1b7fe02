"""
The second door: gRPC on `Server.RPCPort`.

Loaded when a server starts and by nothing else, since gRPC takes its time.
"""
