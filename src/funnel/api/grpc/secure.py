"""TLS for gRPC, which brings its own."""

from typing import Any

import grpc

from funnel.api.tls import Certificates, Loaded


def credentials_of(certificates: Certificates) -> grpc.ServerCredentials:
    """
    Those that the certificates are at each new connection.

    With authorities for clients, every client must show a certificate; without, none is asked.
    """
    shown = certificates.now

    def fetch() -> Any:
        """Called from threads of gRPC's own; None, which its types do not know: as before."""
        nonlocal shown
        if certificates.now is shown:
            return None
        shown = certificates.now
        return _configuration(shown)

    return grpc.dynamic_ssl_server_credentials(
        _configuration(shown),
        fetch,
        require_client_authentication=shown.client_ca is not None,
    )


def _configuration(loaded: Loaded) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(loaded.key, loaded.chain)], root_certificates=loaded.client_ca
    )
