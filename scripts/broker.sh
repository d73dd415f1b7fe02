#!/usr/bin/env bash
# Message brokers for the tests: real ones, without data of their own beyond a folder that the caller names.
#
#   broker.sh install NAME...        bring the software of kafka, pubsub, nats, redis or rabbitmq
#   broker.sh run NAME FOLDER PORT   bring it, and become the server, which listens at 127.0.0.1:PORT
#
# With server.pem and server.key in FOLDER, the server listens at PORT + 3 as well, by TLS; NATS, which knows
# one kind of listener only, at PORT alone.
#
# What Debian has not is kept in the cache folder of the user. A server keeps its data in FOLDER, so that the next one
# there goes on with it; it ends with the process that called, however that ends. Kafka and RabbitMQ take
# PORT + 1 and PORT + 2 as well; those of Kafka who come by PORT + 2 or PORT + 3 must log in. The user is tester, the
# password testing, where there is a login.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/common.sh
. "$here/common.sh"

root=${XDG_CACHE_HOME:-$HOME/.cache}/funnel/brokers
address=127.0.0.1
kafka_version=4.1.1
pubsub_version=v1.33.0

main() {
  case ${1:-} in
    install) shift && locked install_all "$@" ;;
    run) locked install_all "${2:?which broker}" >&2 && "run_$2" "${3:?its folder}" "${4:?its port}" ;;
    *) sed -n '2,/^set/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2 && exit 2 ;;
  esac
}

# One installation at a time.
locked() {
  mkdir -p "$root"
  exec 9>"$root/lock"
  flock 9
  "$@"
  exec 9>&-
}

install_all() {
  local name
  for name; do
    "install_$name"
  done
}

# Becomes COMMAND, which is killed when the caller has died.
become() {
  exec setpriv --pdeathsig KILL "$@"
}

# --- Apache Kafka: its jars from Maven, and the Java of Debian

install_kafka() {
  local jars=$root/kafka-$kafka_version
  debian_packages openjdk-17-jre-headless
  [ ! -e "$jars/complete" ] || return 0
  debian_packages maven
  say "kafka: fetching its jars from Maven"
  rm -rf "$jars" && mkdir -p "$jars"
  cat >"$jars/pom.xml" <<POM
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>funnel</groupId><artifactId>broker</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$kafka_version</version>
    </dependency>
  </dependencies>
</project>
POM
  quietly mvn --batch-mode --quiet --file "$jars/pom.xml" dependency:copy-dependencies \
    -DincludeScope=runtime -DoutputDirectory="$jars"
  touch "$jars/complete"
}

# One broker that is its own controller. Topics are made when they are first asked for.
run_kafka() {
  local folder=$1 port=$2 settings=$1/server.properties private=''
  local logins=org.apache.kafka.common.security
  local plain="$logins.plain.PlainLoginModule required user_tester=\"testing\";"
  local java=(java -Xms128m -Xmx384m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$root/kafka-$kafka_version/*")
  mkdir -p "$folder"
  if [ -e "$folder/server.pem" ]; then
    private=,PRIVATE://$address:$((port + 3))
    cat "$folder/server.key" "$folder/server.pem" >"$folder/both.pem"
  fi
  cat >"$settings" <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@$address:$((port + 1))
listeners=PLAINTEXT://$address:$port,CONTROLLER://$address:$((port + 1)),LOGIN://$address:$((port + 2))$private
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,LOGIN:SASL_PLAINTEXT,PRIVATE:SASL_SSL
controller.listener.names=CONTROLLER
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
listener.name.login.plain.sasl.jaas.config=$plain
listener.name.login.scram-sha-512.sasl.jaas.config=$logins.scram.ScramLoginModule required;
listener.name.private.plain.sasl.jaas.config=$plain
listener.name.private.scram-sha-512.sasl.jaas.config=$logins.scram.ScramLoginModule required;
listener.name.private.ssl.keystore.type=PEM
listener.name.private.ssl.keystore.location=$folder/both.pem
log.dirs=$folder/data
num.partitions=3
auto.create.topics.enable=true
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
PROPERTIES
  [ -e "$folder/data/meta.properties" ] ||
    quietly "${java[@]}" kafka.tools.StorageTool format --cluster-id MkU3OEVBNTcwNTJENDM2Qg --config "$settings" \
      --add-scram 'SCRAM-SHA-512=[name=tester,password=testing]'
  become "${java[@]}" kafka.Kafka "$settings"
}

# --- Google Pub/Sub: the server that Google's own Go client is tested with

install_pubsub() {
  local program=$root/pubsub-$pubsub_version source
  [ ! -e "$program" ] || return 0
  command -v go >/dev/null || debian_packages golang-go
  say "pubsub: building the server of Google's Go client"
  source=$(mktemp -d)
  cat >"$source/main.go" <<'GO'
package main

import (
	"os"
	"strconv"

	"cloud.google.com/go/pubsub/pstest"
)

func main() {
	port, err := strconv.Atoi(os.Args[1])
	if err != nil {
		panic(err)
	}
	pstest.NewServerWithPort(port)
	select {}
}
GO
  (
    cd "$source"
    export GOFLAGS=-mod=mod
    quietly go mod init broker
    quietly go get "cloud.google.com/go/pubsub@$pubsub_version"
    quietly go mod tidy
    quietly go build -ldflags '-s -w' -o "$program" .
  )
  rm -rf "$source"
}

run_pubsub() {
  become "$root/pubsub-$pubsub_version" "$2"
}

# --- those of Debian

install_nats() {
  without_services debian_packages nats-server
}

run_nats() {
  local private=()
  [ ! -e "$1/server.pem" ] || private=(--tls --tlscert "$1/server.pem" --tlskey "$1/server.key")
  become nats-server --addr $address --port "$2" --user tester --pass testing --jetstream --store_dir "$1" \
    "${private[@]}"
}

install_redis() {
  without_services debian_packages redis-server
}

# Each write is on disk before it is answered.
run_redis() {
  local private=()
  mkdir -p "$1"
  [ ! -e "$1/server.pem" ] || private=(--tls-port $(($2 + 3)) --tls-auth-clients no
    --tls-cert-file "$1/server.pem" --tls-key-file "$1/server.key")
  become redis-server --bind $address --port "$2" --requirepass testing --dir "$1" --save '' --daemonize no \
    --appendonly yes --appendfsync always "${private[@]}"
}

install_rabbitmq() {
  without_services debian_packages rabbitmq-server
}

# The broker would start a name service of Erlang that stays behind; this one goes with it.
run_rabbitmq() {
  local folder=$1 port=$2
  mkdir -p "$folder"
  cat >"$folder/rabbitmq.conf" <<SETTINGS
listeners.tcp.1 = $address:$port
default_user = tester
default_pass = testing
log.console = true
log.file = false
SETTINGS
  [ ! -e "$folder/server.pem" ] || cat >>"$folder/rabbitmq.conf" <<SETTINGS
listeners.ssl.1 = $address:$((port + 3))
ssl_options.certfile = $folder/server.pem
ssl_options.keyfile = $folder/server.key
SETTINGS
  : >"$folder/enabled_plugins"
  export HOME=$folder RABBITMQ_NODENAME=funnel$port@localhost RABBITMQ_DIST_PORT=$((port + 1)) \
    ERL_EPMD_PORT=$((port + 2)) RABBITMQ_CONFIG_FILE=$folder/rabbitmq \
    RABBITMQ_ENABLED_PLUGINS_FILE=$folder/enabled_plugins RABBITMQ_MNESIA_BASE=$folder/data \
    RABBITMQ_LOG_BASE=$folder RABBITMQ_LOGS=- \
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1}"
  cd "$folder"
  setpriv --pdeathsig KILL epmd -address $address -port "$ERL_EPMD_PORT" &
  become /usr/lib/rabbitmq/bin/rabbitmq-server
}

# Says nothing unless it fails.
quietly() {
  local said
  said=$("$@" 2>&1) || { printf '%s\n' "$said" >&2; return 1; }
}

main "$@"
