# shellcheck shell=bash
# Azure Blob Storage as Azurite has it, Microsoft's own emulator, from npm. Its account and its key are the published
# ones. What it keeps is in memory.
azurite_version=3.37.0

install_azure() {
  local folder=$root/azurite-$azurite_version
  [ ! -e "$folder/complete" ] || return 0
  command -v npm >/dev/null || debian_packages nodejs npm
  say "azure: installing Azurite"
  rm -rf "$folder"
  mkdir -p "$folder"
  # In its folder: told of another prefix, npm does not read what the machine says of its registry.
  echo '{}' >"$folder/package.json"
  (cd "$folder" && npm install --omit=optional --ignore-scripts --no-audit --no-fund --loglevel=error "azurite@$azurite_version" >&2)
  touch "$folder/complete"
}

run_azure() {
  mkdir -p "$1"
  cd "$1"
  become node "$root/azurite-$azurite_version/node_modules/azurite/dist/src/blob/main.js" --blobHost $address \
    --blobPort "$2" --inMemoryPersistence --silent --disableTelemetry
}
