#!/usr/bin/env bash
# The demo: a sandbox with the demo site, then the two commands of the README, each twice. Everything is in .demo.
set -euo pipefail
cd "$(dirname "$0")/.."
rm -rf .demo
mkdir -p .demo/work
root=$PWD/.demo
fwsync=$PWD/.venv/bin/fwsync
export HOME=$root XDG_STATE_HOME=$root/state XDG_CONFIG_HOME=$root/config TMPDIR=$root
unset FWSYNC_API_KEY FWSYNC_API_KEY_FILE FWSYNC_CONFIG FWSYNC_PROFILE FWSYNC_PROJECT FWSYNC_TO FWSYNC_GEAR FWSYNC_TIMEZONE
cp config/subjects.csv "$root/work/subjects.csv"
cp config/demo.toml "$root/work/fwsync.toml"

"$fwsync" sandbox --demo --data "$root/site" > "$root/key" &
server=$!
trap 'kill $server 2>/dev/null; wait $server 2>/dev/null || true' EXIT
for _ in $(seq 100); do
  [ -s "$root/key" ] && break
  kill -0 $server || { echo "the sandbox did not start"; exit 1; }
  sleep 0.1
done

cd "$root/work"
show() { printf '\n$ %s\n' "$*"; }
show 'fwsync login < key'
"$fwsync" login < "$root/key"
show fwsync import subjects.csv
"$fwsync" import subjects.csv --progress none
show 'fwsync import subjects.csv          # again: no write'
"$fwsync" import subjects.csv --progress none
show fwsync mirror --gear bids-freesurfer
"$fwsync" mirror --gear bids-freesurfer --progress none
show 'fwsync mirror --gear bids-freesurfer          # again: nothing is transferred'
"$fwsync" mirror --gear bids-freesurfer --progress none
show 'find mirror -name "*aseg.stats"'
find mirror -name '*aseg.stats' | LC_ALL=C sort
show fwsync tree demo/first-import --depth 3
"$fwsync" tree demo/first-import --depth 3
