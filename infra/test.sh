#!/usr/bin/env bash
# Builds what is deployed, deploys it into an emulator of AWS on this machine, and drives it through its gateway with signed
# tokens. Fails where template and code differ in a route, a permission, a variable, a key, a metric.
#
# Needs rustup's toolchain, Python 3.11 with venv, and PyPI; what it installs and builds is in target. The documents'
# batches are in ../shared, or where REBATCH_SHARED says.
set -euo pipefail
cd "$(dirname "$0")/.."

tools=target/infra-tools
stamp=$(cat infra/test/requirements.txt; python3 --version)
if [ "$(cat "$tools/stamp" 2>/dev/null)" != "$stamp" ]; then
  rm -rf "$tools"
  python3 -m venv "$tools"
  "$tools/bin/pip" install --quiet --disable-pip-version-check -r infra/test/requirements.txt
  echo "$stamp" >"$tools/stamp"
fi
PATH="$PWD/$tools/bin:$PATH"
export PYTHONDONTWRITEBYTECODE=1

seeds=${REBATCH_SHARED:-../shared}/seeds/runnable
if [ ! -d "$seeds" ]; then
  echo "$seeds is absent: the documents' batches are left out" >&2
  [ "${CI:-}" != true ]
  seeds=
fi

infra/build.sh
cargo build --locked -p local
python infra/test/main.py --translate target/lambda/translated.json
cfn-lint infra/template.yaml target/lambda/translated.json
python infra/test/main.py --rebatch "${CARGO_TARGET_DIR:-target}/debug/rebatch" ${seeds:+--seeds "$seeds"}
