#!/usr/bin/env bash
# Builds what template.yaml deploys, into target/lambda: a zip for each function, and the folder of the configuration layer.
#
#     infra/build.sh [--configuration] [--arm64] [flags of `cargo lambda build`]
#
# --configuration puts only the configuration together: a changed model, rule or source needs no Rust build.
# SERVICES and POLICY name another folder of services and another policy than infra/services and infra/deploy/policy.toml.
# Needs cargo-lambda (pip install cargo-lambda), which brings the linker for the glibc of Lambda along.
set -euo pipefail
cd "$(dirname "$0")/.."

out=target/lambda
functions=(batch job-state event-webhook outbox)
limit=$((8 * 1024 * 1024)) # bytes of a zip: what has to be loaded at each start

rm -rf "$out/configuration"
mkdir -p "$out/configuration"
cp -R "${SERVICES:-infra/services}" "$out/configuration/services"
cp "${POLICY:-infra/deploy/policy.toml}" "$out/configuration/policy.toml"
# Rows for trying things out are of no use to a function.
rm -f "$out"/configuration/services/*/seed.json
if [ "${1:-}" = --configuration ]; then
  exit
fi

cargo lambda build --locked --profile lambda --output-format zip --lambda-dir "$out" "${functions[@]/#/--package=}" "$@"
for function in "${functions[@]}"; do
  size=$(stat -c %s "$out/$function/bootstrap.zip")
  printf '%-14s %5.2f MB\n' "$function" "$((size * 100 / 1048576))e-2"
  if [ "$size" -gt "$limit" ]; then
    echo "the zip of $function is larger than 8 MB" >&2
    exit 1
  fi
done
