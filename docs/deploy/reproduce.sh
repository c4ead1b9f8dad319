#!/usr/bin/env bash
# Builds the release and its packages twice, in two folders, and compares the bytes: exit code 1 if
# they differ.
#
#   docs/deploy/reproduce.sh [FOLDER]
#
# Needs some 6 GB in FOLDER (target/reproduce) and twice the time of a release build. PROFILE=quick
# compares a profile that builds faster.
set -euo pipefail
cd "$(dirname "$0")/../.."
place=$(realpath -m "${1:-target/reproduce}")
rm -rf "$place"
for name in one the-other; do
    mkdir -p "$place/$name"
    git archive HEAD | tar -x -C "$place/$name"
    # The archive has no history: what the build asks of it is given.
    (
        cd "$place/$name"
        git init -q .
        git add -A
        GIT_AUTHOR_DATE='@0 +0000' GIT_COMMITTER_DATE='@0 +0000' git -c user.name=build -c user.email=build@localhost commit -q -m build
        CARGO_TARGET_DIR="$place/$name/target" docs/deploy/build.sh "$place/out-$name" >/dev/null
        docs/deploy/package.sh "$place/out-$name" >/dev/null
        # The second build needs the room.
        rm -rf "$place/$name/target"
    )
done
same=yes
for file in "$place"/out-one/*; do
    other=$place/out-the-other/$(basename "$file")
    sha256sum "$file" "$other"
    cmp "$file" "$other" || same=no
done
[ "$same" = yes ] && echo "the same bytes"
