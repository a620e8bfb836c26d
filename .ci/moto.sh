#!/usr/bin/env bash
# S3, SQS and SNS with credential chains (a profile that assumes a role through STS) against moto, on this machine only.
# Installs moto in a folder of its own, starts it on a free port, runs the tests that need it, leaves nothing behind.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
server=
finish() {
  status=$?
  if [[ -n $server ]]; then
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
  fi
  if ((status != 0)) && [[ -s $work/moto.log ]]; then
    echo "-- last lines of moto:" >&2
    tail -n 20 "$work/moto.log" >&2
  fi
  rm -rf "$work"
}
trap finish EXIT

python3 -m venv "$work/venv" || { echo "python3 cannot make a virtual environment; install python3-venv" >&2; exit 1; }
"$work/venv/bin/pip" install --quiet --disable-pip-version-check --requirement .ci/moto.txt

"$work/venv/bin/python" .ci/moto_server.py "$work/endpoint" >"$work/moto.log" 2>&1 &
server=$!
for _ in $(seq 300); do
  [[ -s $work/endpoint ]] && break
  kill -0 "$server" 2>/dev/null || { echo "moto ended before it listened" >&2; exit 1; }
  sleep 0.2
done
[[ -s $work/endpoint ]] || { echo "moto does not listen after a minute" >&2; exit 1; }
endpoint=$(<"$work/endpoint")

cat >"$work/config" <<CONFIG
[profile base]
region = us-east-1
aws_access_key_id = AKIAIOSFODNN7EXAMPLE
aws_secret_access_key = wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLEKEY

[profile hunter]
region = us-east-1
role_arn = arn:aws:iam::111122223333:role/hunter
source_profile = base
CONFIG

# Nothing of the machine's own AWS settings may reach the tests.
while IFS='=' read -r name _; do
  case $name in AWS_*) unset "$name" ;; esac
done < <(env)
export AWS_CONFIG_FILE=$work/config AWS_SHARED_CREDENTIALS_FILE=$work/none AWS_PROFILE=hunter
export AWS_ENDPOINT_URL=$endpoint AWS_EC2_METADATA_DISABLED=true
export NO_PROXY=127.0.0.1 no_proxy=127.0.0.1 TRAILHOUND_MOTO=$endpoint
cargo test --locked --test s3_chain --test queue --test sns
