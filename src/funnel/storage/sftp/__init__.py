"""Files at servers that speak SFTP, which is SSH."""
