#!/usr/bin/env bash
# Builds what is deployed, deploys it into an emulator of AWS on this machine, and drives it through its gateway with signed
# tokens. Fails where template and code differ in a route, a permission, a variable, a key, a metric.
#
# Needs rustup's toolchain, Python 3.11 with venv, and PyPI; what it installs and builds is in target.
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

infra/build.sh
cargo build --locked -p local
python infra/test/main.py --translate target/lambda/translated.json
cfn-lint infra/template.yaml target/lambda/translated.json
if [ ! -s target/actions ]; then
  REBATCH_ACTIONS="$PWD/target/actions" cargo test --workspace --locked --test it
fi
python infra/test/permissions.py infra/template.yaml target/actions
python infra/test/main.py --rebatch "${CARGO_TARGET_DIR:-target}/debug/rebatch" --seeds tests/fixtures/documents
