"""Files at servers that speak FTP, in plain text or by TLS."""
