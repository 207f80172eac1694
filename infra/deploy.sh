#!/usr/bin/env bash
# Builds and deploys in one command: infra/deploy.sh [--configuration] [flags of `sam deploy`]
#
# --configuration deploys changed services, rules or sources with the binaries that were built before.
# samconfig.toml has the defaults. Needs cargo-lambda and aws-sam-cli (pip install cargo-lambda aws-sam-cli).
set -euo pipefail
cd "$(dirname "$0")"

if [ "${1:-}" = --configuration ]; then
  shift
  ./build.sh --configuration
else
  ./build.sh
fi
exec sam deploy --config-file samconfig.toml "$@"
