# shellcheck shell=bash
# SFTP by OpenSSH, with a configuration and a host key of its own. The user funnel-sftp has no shell, and logs in with
# the password testing or with FOLDER/client; FOLDER/known_hosts has the key of the host. It may write in FOLDER/files.
# shellcheck disable=SC2154  # address is of store.sh

sftp_user=funnel-sftp

install_sftp() {
  without_services debian_packages openssh-server
  id $sftp_user >/dev/null 2>&1 || as_root useradd --system --no-create-home --home-dir / --shell /usr/sbin/nologin $sftp_user
}

run_sftp() {
  local folder=$1 port=$2 key
  as_root install -d /run/sshd
  mkdir -p "$folder/files"
  for key in host client; do
    [ -e "$folder/$key" ] || ssh-keygen -q -t ed25519 -N '' -C '' -f "$folder/$key"
  done
  cp "$folder/client.pub" "$folder/authorized_keys"
  echo "[$address]:$port $(cut -d' ' -f1,2 "$folder/host.pub")" >"$folder/known_hosts"
  echo "$sftp_user:testing" | as_root chpasswd
  as_root chown $sftp_user "$folder/files"
  cat >"$folder/sshd_config" <<SETTINGS
Port $port
ListenAddress $address
HostKey $folder/host
PidFile none
AuthorizedKeysFile $folder/authorized_keys
StrictModes no
UsePAM no
PasswordAuthentication yes
AllowUsers $sftp_user
UseDNS no
LogLevel ERROR
Subsystem sftp internal-sftp
ForceCommand internal-sftp -d $folder/files
SETTINGS
  become /usr/sbin/sshd -D -e -f "$folder/sshd_config"
}
